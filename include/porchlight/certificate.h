/* A device's certificate and its renewal.
 *
 * The SDK renews by itself: at two thirds of the certificate's life (and up to a twelfth of it later, by
 * chance), and when the hub refuses it because it has ended. The key stays the same and in its store. The
 * new certificate stands beside the old one (cert.next.pem) until the hub has let the device in with it;
 * then it takes its place, and the hub lets nobody in with the old one any more. Whenever the power goes,
 * one of the two is good.
 *
 * A device that comes back after years, its certificate ended and its clock at 1970, is let in to the hub's
 * signed time and to renewal, and to nothing else; the SDK does both by itself. It believes a time only
 * when the hub's signer has signed it (`hub.time_key` in device.conf), never one before a time that it
 * believed earlier (FOLDER/state/time), and sets no clock of the system: porch_device_now_ms tells it.
 *
 * Told by PORCH_DEVICE_CLOCK_SET, PORCH_DEVICE_RENEWED, PORCH_DEVICE_CERTIFICATE_IN_USE and
 * PORCH_DEVICE_RENEWAL_DELAYED. */
#ifndef PORCHLIGHT_CERTIFICATE_H
#define PORCHLIGHT_CERTIFICATE_H

#include <porchlight/device.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Asks for a renewal now, before its time; does not wait for it. REFUSED for a service, whose operator
 * renews. */
PORCH_DEVICE_API porch_device_result porch_device_renew(porch_device *device, porch_device_why *why);

#ifdef __cplusplus
}
#endif

#endif
