/** Whether a subject is one of those a subscription means; both cut at their dots. `*` is one token, `>` all that follow. */
export const matches = (pattern: readonly string[], tokens: readonly string[]): boolean => {
  for (const [at, part] of pattern.entries()) {
    if (part === '>') return tokens.length > at;
    if (at >= tokens.length || (part !== '*' && part !== tokens[at])) return false;
  }
  return pattern.length === tokens.length;
};
