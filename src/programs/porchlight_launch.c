/* porchlight-launch: picks the slot that a product starts from. */
#include "ota/port/linux/launch.h"

int main(int argc, char **argv) {
    return porch_launch_main(argc, argv);
}
