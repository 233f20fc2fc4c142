/** What the process reports to the shell. */
export const exitCode = {
  success: 0,
  /** The work failed: a bad file, too little memory, an unsupported model. */
  failure: 1,
  /** The command line itself is wrong. */
  usage: 2,
  /** 128 + the number of the signal that stopped the command. */
  interrupted: 130,
  terminated: 143,
} as const;
