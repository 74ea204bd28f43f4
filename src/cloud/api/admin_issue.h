/* What device.add and service.add answer: the certificate and all that a FOLDER needs beside it. */
#ifndef PORCH_CLOUD_API_ADMIN_ISSUE_H
#define PORCH_CLOUD_API_ADMIN_ISSUE_H

#include "cloud/api/admin.h"

/* Fills the call's result with {cert, ca, starts_ms, ends_ms, serial, hub:{host, mqtt_port, device_port,
 * id}} and the principal's name as "id". */
porch_err porch_admin_issued(porch_admin_call *call, const char *name, const porch_registry_issued *issued);
/* A SHA-256 in lower-case hex. */
void porch_admin_hex(const uint8_t hash[32], char out[65]);

#endif
