/* The command line for product teams: `porchlight -C DIR COMMAND ...`. It never opens the database: it
 * speaks to DIR/run/admin.sock, and when no hub runs it starts one that serves only that socket. */
#ifndef PORCH_CLI_H
#define PORCH_CLI_H

/* Returns the exit code: 0 done, 1 refused with a reason on standard error, 2 usage. */
int porch_cli_main(int argc, char **argv);

#endif
