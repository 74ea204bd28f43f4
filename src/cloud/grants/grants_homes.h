/* The devices of households, as sets that the policies of their people share. */
#ifndef PORCH_CLOUD_GRANTS_HOMES_H
#define PORCH_CLOUD_GRANTS_HOMES_H

#include "access/set.h"
#include "cloud/registry/registry.h"

typedef struct grants_homes grants_homes;
typedef struct grants_home grants_home;

/* Reads the registry (NULL: no household has devices), which must outlive it. NULL without memory. */
grants_homes *porch_grants_homes_new(porch_registry *registry);
void porch_grants_homes_free(grants_homes *homes);
/* The household's devices as they are now, retained. Any thread, shards too; walks the registry's memory
 * where they are not known since the last change. PORCH_ERR_INTERNAL. */
porch_err porch_grants_home_take(grants_homes *homes, const char *household, grants_home **ret);
/* A home of this one device, which belongs to no household's set, retained. PORCH_ERR_INTERNAL. */
porch_err porch_grants_home_of(const char *device, grants_home **ret);
/* NULL for NULL. */
const porch_access_set *porch_grants_home_devices(const grants_home *home);
void porch_grants_home_release(grants_home *home); /* NULL is fine */
/* What was taken before may be out of date. */
void porch_grants_homes_changed(grants_homes *homes);

#endif
