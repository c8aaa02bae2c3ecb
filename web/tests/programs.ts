/** Programs that tests use where they are installed. */
import { spawnSync } from 'node:child_process';

/** Where nothing may be left out, everything is there. */
export const installed = (program: string) => process.env['CI'] === 'true' || spawnSync('sh', ['-c', `command -v ${program}`]).status === 0;
