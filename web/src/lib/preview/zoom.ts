/** A picture on a stage: how large it is drawn, and how far from the middle. */
export type Pose = { scale: number; x: number; y: number };

export const atRest: Pose = { scale: 1, x: 0, y: 0 };
const most = 16;

/** Scales by a factor so that the point under the pointer, measured from the middle of the stage, stays where it is. */
export function scaledAt(pose: Pose, factor: number, at: { x: number; y: number }): Pose {
  const scale = Math.min(most, Math.max(1, pose.scale * factor));
  if (scale === 1) return atRest;
  const by = scale / pose.scale;
  return { scale, x: at.x - (at.x - pose.x) * by, y: at.y - (at.y - pose.y) * by };
}

/** Keeps at least the middle of the stage covered by the picture, of this drawn size at scale 1. */
export function held(pose: Pose, width: number, height: number): Pose {
  const keep = (v: number, size: number) => Math.max((-size * pose.scale) / 2, Math.min((size * pose.scale) / 2, v));
  return { scale: pose.scale, x: keep(pose.x, width), y: keep(pose.y, height) };
}

const enough = 60; // px that a finger has to move for a swipe

/** What a finger means that has moved so far: the file after this one, the one before, away with it, or nothing. */
export function swiped({ x, y }: { x: number; y: number }): 1 | -1 | 'away' | undefined {
  if (Math.abs(x) > enough && Math.abs(x) > 2 * Math.abs(y)) return x < 0 ? 1 : -1;
  return y > 2 * enough && y > 2 * Math.abs(x) ? 'away' : undefined;
}
