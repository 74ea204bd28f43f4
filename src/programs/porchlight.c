/* porchlight: the command line. */
#include <signal.h>
#include <sys/stat.h>

#include "cli/cli.h"

int main(int argc, char **argv) {
    signal(SIGPIPE, SIG_IGN);
    umask(077);
    return porch_cli_main(argc, argv);
}
