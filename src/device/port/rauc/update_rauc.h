/* RAUC's slots (ota/port/rauc) as a back-end of the updater. */
#ifndef PORCH_DEVICE_PORT_RAUC_UPDATE_RAUC_H
#define PORCH_DEVICE_PORT_RAUC_UPDATE_RAUC_H

#include <porchlight/update_rauc.h>

#endif
