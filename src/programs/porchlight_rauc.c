/* Updates on a device whose slots RAUC keeps. */
#include "ota/port/rauc/rauc_tool.h"

int main(int argc, char **argv) {
    return porch_rauc_tool_main(argc, argv);
}
