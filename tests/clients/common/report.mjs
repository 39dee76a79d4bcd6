// One line for each thing that was looked at. The first that does not hold ends the program, which then exits with status 1.

import assert from 'node:assert/strict';

export { assert };

/** Runs `work` with a way to tell steps, and ends the process with the outcome. */
export async function program(name, work) {
  const step = async (what, look) => {
    try {
      const found = await look();
      console.log(`  ok    ${name}: ${what}`);
      return found;
    } catch (error) {
      console.log(`  FAIL  ${name}: ${what}`);
      throw error;
    }
  };
  try {
    await work(step);
    process.exit(0);
  } catch (error) {
    console.error(error);
    process.exit(1);
  }
}

/** Looks again until it holds, for at most five seconds: the time within which whoever is out has to be refused. */
export async function within5Seconds(look) {
  const end = performance.now() + 5000;
  for (;;) {
    try {
      return await look();
    } catch (error) {
      if (performance.now() > end) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}
