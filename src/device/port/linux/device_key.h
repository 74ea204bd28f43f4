/* device.conf, and the key that it names, opened where it lies. */
#ifndef PORCH_DEVICE_PORT_LINUX_DEVICE_KEY_H
#define PORCH_DEVICE_PORT_LINUX_DEVICE_KEY_H

#include "crypto/keystore.h"
#include "device/conf.h"

/* FOLDER/device.conf. NOT_FOUND with a sentence that says who makes such folders; NO_SPACE; CONFIG. */
porch_err porch_device_conf_load(const char *folder, porch_device_conf *ret, porch_why *why);

/* *in_file is set when it lies in a file, which the caller must say aloud. CONFIG: a file without the named
 * switch; else as the key's store says. */
porch_err porch_device_key_open(const porch_device_conf *conf, const char *folder, porch_key **ret,
                                bool *in_file, porch_why *why);

#endif
