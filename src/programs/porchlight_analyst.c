/* porchlight-analyst: started by the supervisor with its socket to the hub as descriptor 3. */
#include <signal.h>

#include "cloud/analyst/analyst.h"
#include "os/log.h"

enum { SOCKET_FD = 3 };

int main(void) {
    signal(SIGINT, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    porch_log_init("analyst", PORCH_LOG_INFO);
    return porch_analyst_run(SOCKET_FD);
}
