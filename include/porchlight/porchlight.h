/* Everything a product compiles against, in one include. */
#ifndef PORCHLIGHT_PORCHLIGHT_H
#define PORCHLIGHT_PORCHLIGHT_H

#include <porchlight/certificate.h>
#include <porchlight/clip.h>
#include <porchlight/device.h>
#include <porchlight/enrol.h>
#include <porchlight/event.h>
#include <porchlight/key.h>
#include <porchlight/secret.h>
#include <porchlight/status.h>
#include <porchlight/twin.h>
#include <porchlight/update.h>

#endif
