/* porchlight-rauc: the life of an update on a device whose slots RAUC keeps; see --help. */
#ifndef PORCH_OTA_PORT_RAUC_RAUC_TOOL_H
#define PORCH_OTA_PORT_RAUC_RAUC_TOOL_H

int porch_rauc_tool_main(int argc, char **argv);

#endif
