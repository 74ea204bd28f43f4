/* Groups, members and statements as they stand in the database, read into one immutable model.
 *
 *   model ─► group "devices" ─► members {devices, ""}        statements {allow, 7, d/${device.id}/#}
 *         ─► group "service-lights" ─► members {service, lights} statements ...
 *
 * A model is read whole and swapped whole. */
#ifndef PORCH_CLOUD_GRANTS_MODEL_H
#define PORCH_CLOUD_GRANTS_MODEL_H

#include "cloud/grants/grants.h"

typedef enum {
    GRANTS_MEMBER_DEVICES, /* every device */
    GRANTS_MEMBER_DEVICE,
    GRANTS_MEMBER_PRODUCT,
    GRANTS_MEMBER_HOUSEHOLD,
    GRANTS_MEMBER_SERVICE
} grants_member_kind;

typedef struct {
    grants_member_kind kind;
    char value[PORCH_REGISTRY_NAME_BYTES];
} grants_member;

typedef struct {
    char name[80]; /* "service-" and a name fit */
    grants_member *members;
    size_t member_count;
    porch_grants_statement *statements; /* in order of position */
    size_t statement_count;
} grants_group;

typedef struct {
    grants_group *groups; /* in order of name */
    size_t count;
} grants_model;

/* A porch_store_fn's work: reads all of it. An unreadable statement is an error: nothing is guessed about
 * who may do what. */
porch_err porch_grants_model_read(porch_db *db, grants_model *ret, porch_why *why);
void porch_grants_model_free(grants_model *m);
const grants_group *porch_grants_model_find(const grants_model *m, const char *name);
/* Does the group apply to this principal? */
bool porch_grants_group_holds(const grants_group *g, const porch_registry_entry *entry);

#endif
