"""The template, deployed with SAM to an emulator of AWS that enforces its rights, and used by people through its HTTP API.

What the emulator does not do is asserted on the translated template instead, in template.py: it enforces no rights where AWS itself acts
for a role (polling the queue and the stream, the schedule's and the pipe's role, logs, traces), expires no items, keeps no backups,
rings no alarms, throttles nothing, and starts x86_64 programs without Amazon Linux around them.

  deployed.py --binaries FOLDER --standin-bitbucket PROGRAM --rollcall PROGRAM --sam PROGRAM
"""

import argparse
import pathlib
import sys
import tempfile
import time
import traceback

from rights import rights
from stack import Failed, Stack
from story import story


def arguments():
    parser = argparse.ArgumentParser(description="Deploys the template to an emulator of AWS and uses it.")
    parser.add_argument("--binaries", required=True, help="the folder of the release build's binaries")
    parser.add_argument("--standin-bitbucket", required=True, help="the stand-in Bitbucket's program")
    parser.add_argument("--rollcall", required=True, help="the command line's program")
    parser.add_argument("--sam", required=True, help="the SAM CLI")
    return parser.parse_args()


def say(line):
    print(f"{time.monotonic() - BEGAN:6.1f} s  {line}", flush=True)


BEGAN = time.monotonic()


def main():
    given = arguments()
    with tempfile.TemporaryDirectory(prefix="rollcall-deployed-") as folder:
        stack = Stack(pathlib.Path(folder), given.binaries, pathlib.Path(given.standin_bitbucket).resolve(), given.sam)
        stack.command_line = pathlib.Path(given.rollcall).resolve()
        try:
            stack.build()
            say("built: the binaries of the release build, which need no newer glibc than Amazon Linux 2023 has")
            stack.deploy()
            say(f"deployed: {len(stack.ids)} resources")
            world = story(stack, say)
            rights(stack, world, say)
        except Exception as failure:
            stack.tell_logs()
            if isinstance(failure, Failed):
                print(f"FAILED: {failure}", file=sys.stderr)
            else:
                traceback.print_exc()
            return 1
        finally:
            stack.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
