/* porchlight-tuf: the client core of updates, driven by hand or by a conformance suite. */
#include <signal.h>

#include "ota/port/curl/tuf_tool.h"

int main(int argc, char **argv) {
    signal(SIGPIPE, SIG_IGN);
    return porch_tuf_tool_main(argc, argv);
}
