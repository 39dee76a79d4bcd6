//! A share of a CPU, as Lambda gives by memory: 1,769 MB are one CPU, 512 MB are 29 % of one, 256 MB are 14.5 %.

use std::fs;
use std::io;
use std::path::PathBuf;

/// Every so many microseconds the share begins anew. The kernel's default, 100 ms, would let a short answer through unhindered.
const PERIOD: u64 = 20_000;
const V1: &str = "/sys/fs/cgroup/cpu";
const V2: &str = "/sys/fs/cgroup";

/// Per mille of a CPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Share(pub(crate) u64);

/// All of it, 512 MB, 256 MB.
pub(crate) const SHARES: [Share; 3] = [Share(1000), Share(290), Share(145)];

impl Share {
    pub(crate) fn label(self) -> String {
        if self.0.is_multiple_of(10) {
            format!("{} %", self.0 / 10)
        } else {
            format!("{}.{} %", self.0 / 10, self.0 % 10)
        }
    }
}

/// A control group of our own, which gives so much of a CPU to all that is in it.
pub(crate) struct Throttle(PathBuf);

impl Throttle {
    /// Makes the group; `Err` where this user or this system does not allow it.
    pub(crate) fn new(share: Share) -> io::Result<Self> {
        let name = format!("rollcall-bench-{}-{}", std::process::id(), share.0);
        let quota = PERIOD * share.0 / 1000;
        let is_v1 = PathBuf::from(V1).join("cpu.cfs_quota_us").exists();
        let group = Self(PathBuf::from(if is_v1 { V1 } else { V2 }).join(name));
        fs::create_dir(&group.0)?;
        if is_v1 {
            fs::write(group.0.join("cpu.cfs_period_us"), PERIOD.to_string())?;
            fs::write(group.0.join("cpu.cfs_quota_us"), quota.to_string())?;
        } else {
            fs::write(group.0.join("cpu.max"), format!("{quota} {PERIOD}"))?;
        }
        Ok(group)
    }

    /// Puts a process into it.
    pub(crate) fn hold(&self, pid: u32) -> io::Result<()> {
        fs::write(self.0.join("cgroup.procs"), pid.to_string())
    }
}

impl Drop for Throttle {
    fn drop(&mut self) {
        // It goes only when nobody is in it any more; a process that was killed may take a moment.
        for _ in 0..50 {
            if fs::remove_dir(&self.0).is_ok() {
                return;
            }
            std::thread::sleep(core::time::Duration::from_millis(10));
        }
    }
}
