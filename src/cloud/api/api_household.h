/* The household's own doors of the people's API; see api_household.c and household_export.h. */
#ifndef PORCH_CLOUD_API_HOUSEHOLD_H
#define PORCH_CLOUD_API_HOUSEHOLD_H

#include "cloud/api/api_world.h"

void porch_api_household(porch_http_exchange *x);
void porch_api_keep_preview(porch_http_exchange *x);
void porch_api_keep_set(porch_http_exchange *x);
void porch_api_export_order(porch_http_exchange *x);
void porch_api_export_state(porch_http_exchange *x);
void porch_api_export_download(porch_http_exchange *x);
void porch_api_household_erase(porch_http_exchange *x);

#endif
