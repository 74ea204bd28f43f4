/* porchlight-launch: starts a product from one of two slots, and carries an update from one to the other.
 *
 *   FOLDER                     decides (ota/client/slot.h) and becomes the image
 *   FOLDER init|install|confirm|reject|status
 *
 * It speaks to no network. */
#ifndef PORCH_OTA_PORT_LINUX_LAUNCH_H
#define PORCH_OTA_PORT_LINUX_LAUNCH_H

/* The exit code: 0 done, 1 refused with a sentence on standard error, 2 usage. Does not return when the
 * image starts. */
int porch_launch_main(int argc, char **argv);

#endif
