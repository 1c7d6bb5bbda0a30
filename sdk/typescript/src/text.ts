/**
 * Text of at most so many characters (code points), three quarters of them from
 * its beginning and one from its end; what is left out between is counted.
 */
export function cutMiddle(text: string, limit: number): string {
  if (text.length <= limit) return text;
  const head = Math.floor((limit * 3) / 4);
  const tail = Math.floor(limit / 4);
  let characters = 0;
  let headEnd = 0;
  for (let at = 0; at < text.length; characters++) {
    if (characters === head) headEnd = at;
    at += (text.codePointAt(at) ?? 0) > 0xffff ? 2 : 1;
  }
  if (characters <= limit) return text;
  let tailStart = text.length;
  for (let n = 0; n < tail; n++) {
    tailStart -= 1;
    if ((text.codePointAt(tailStart - 1) ?? 0) > 0xffff) tailStart -= 1;
  }
  const cut = characters - head - tail;
  return `${text.slice(0, headEnd)}\n[… ${String(cut)} characters left out …]\n${text.slice(tailStart)}`;
}
