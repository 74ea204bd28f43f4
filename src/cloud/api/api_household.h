/* The household's own doors of the people's API; see api_household.c and household_export.h. */
#ifndef PORCH_CLOUD_API_HOUSEHOLD_H
#define PORCH_CLOUD_API_HOUSEHOLD_H

#include "cloud/api/api_world.h"
#include "cloud/api/household_erase.h"

void porch_api_household(porch_http_exchange *x);
void porch_api_keep_preview(porch_http_exchange *x);
void porch_api_keep_set(porch_http_exchange *x);
void porch_api_export_order(porch_http_exchange *x);
void porch_api_export_state(porch_http_exchange *x);
void porch_api_export_download(porch_http_exchange *x);
void porch_api_household_erase(porch_http_exchange *x);

/* What an erasure on a person's word goes through; nobody hears its progress. */
porch_erase_rooms porch_api_erase_rooms(const porch_api *api);

#endif
