/** The first step of the ladder: attention as its definition reads, one number at a time. */

/** 2^y for y <= 0: as kernel/vector.ts does it, on one number. */
function exp2(y: f32): f32 {
  y = max(y, <f32>-127);
  const t = y + <f32>12582912;
  const f = y - (t - <f32>12582912);
  let p: f32 = 0.0013264729641377926;
  p = p * f + <f32>0.009671512991189957;
  p = p * f + <f32>0.05550733581185341;
  p = p * f + <f32>0.24022242426872253;
  p = p * f + <f32>0.6931470036506653;
  p = p * f + <f32>1.0;
  return reinterpret<f32>(reinterpret<i32>(p) + (reinterpret<i32>(t) << 23));
}

/** Q, K, V, O [N, D] contiguous; a query sees the keys at most `window` away. S [2 window + 1] is scratch; `factor` = scale log2(e). */
export function attend(Q: usize, K: usize, V: usize, O: usize, S: usize, N: i32, D: i32, window: i32, factor: f32): void {
  const row = <usize>(D * 4);
  for (let i: i32 = 0; i < N; i++) {
    const q = Q + <usize>i * row;
    const o = O + <usize>i * row;
    const first = max(0, i - window);
    const end = min(N, i + window + 1);
    let top: f32 = -Infinity;
    for (let j = first; j < end; j++) {
      let s: f32 = 0;
      for (let d: usize = 0; d < row; d += 4) s += load<f32>(q + d) * load<f32>(K + <usize>j * row + d);
      s *= factor;
      top = max(top, s);
      store<f32>(S + <usize>((j - first) * 4), s);
    }
    memory.fill(o, 0, row);
    let sum: f32 = 0;
    for (let j = first; j < end; j++) {
      const p = exp2(load<f32>(S + <usize>((j - first) * 4)) - top);
      sum += p;
      for (let d: usize = 0; d < row; d += 4) store<f32>(o + d, load<f32>(o + d) + p * load<f32>(V + <usize>j * row + d));
    }
    for (let d: usize = 0; d < row; d += 4) store<f32>(o + d, load<f32>(o + d) / sum);
  }
}
