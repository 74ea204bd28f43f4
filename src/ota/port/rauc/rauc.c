#include "ota/port/rauc/rauc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <systemd/sd-bus.h>

#include "os/clock.h"

static const char service[] = "de.pengutronix.rauc", object[] = "/",
                  interface[] = "de.pengutronix.rauc.Installer";

struct porch_rauc {
    sd_bus *bus;
    bool completed;
    int32_t result;
};

static porch_err fail(porch_why *why, const char *what, int r, const sd_bus_error *error) {
    return porch_fail(why, PORCH_ERR_IO, "%s: %s", what,
                      error != NULL && error->message != NULL ? error->message : strerror(-r));
}

porch_err porch_rauc_open(const char *address, porch_rauc **ret, porch_why *why) {
    porch_rauc *made = calloc(1, sizeof *made);
    if (made == NULL) return porch_fail(why, PORCH_ERR_NO_SPACE, "no memory");
    int r = address == NULL ? sd_bus_open_system(&made->bus) : sd_bus_new(&made->bus);
    if (r >= 0 && address != NULL) r = sd_bus_set_address(made->bus, address);
    if (r >= 0 && address != NULL) r = sd_bus_set_bus_client(made->bus, 1);
    if (r >= 0 && address != NULL) r = sd_bus_start(made->bus);
    if (r < 0) {
        porch_rauc_close(made);
        return fail(why, "the message bus cannot be reached", r, NULL);
    }
    *ret = made;
    return PORCH_OK;
}

void porch_rauc_close(porch_rauc *r) {
    if (r == NULL) return;
    (void)sd_bus_flush_close_unref(r->bus);
    free(r);
}

/* ---- slots ---- */

typedef struct {
    porch_rauc_slot slot;
    bool bootable;
} status;

static int read_text(sd_bus_message *m, const char **ret) {
    *ret = "";
    char type = 0;
    const char *contents = NULL;
    int r = sd_bus_message_peek_type(m, &type, &contents);
    if (r < 0) return r;
    return contents != NULL && strcmp(contents, "s") == 0 ? sd_bus_message_read(m, "v", "s", ret)
                                                          : sd_bus_message_skip(m, "v");
}

/* (sa{sv}): a name and what RAUC says of it. */
static int read_slot(sd_bus_message *m, status *ret) {
    const char *name = NULL, *key = NULL, *text = NULL;
    *ret = (status){.bootable = false};
    int r = sd_bus_message_enter_container(m, 'r', "sa{sv}");
    if (r <= 0) return r;
    r = sd_bus_message_read(m, "s", &name);
    if (r >= 0) (void)snprintf(ret->slot.name, sizeof ret->slot.name, "%s", name);
    if (r >= 0) r = sd_bus_message_enter_container(m, 'a', "{sv}");
    while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
        r = sd_bus_message_read(m, "s", &key);
        if (r >= 0) r = read_text(m, &text);
        if (r < 0) break;
        if (strcmp(key, "bootname") == 0) ret->bootable = text[0] != '\0';
        if (strcmp(key, "state") == 0) ret->slot.booted = strcmp(text, "booted") == 0;
        if (strcmp(key, "boot-status") == 0) ret->slot.good = strcmp(text, "good") == 0;
        r = sd_bus_message_exit_container(m);
    }
    if (r >= 0) r = sd_bus_message_exit_container(m);
    if (r >= 0) r = sd_bus_message_exit_container(m);
    return r < 0 ? r : 1;
}

static int by_name(const void *a, const void *b) {
    return strcmp(((const porch_rauc_slot *)a)->name, ((const porch_rauc_slot *)b)->name);
}

porch_err porch_rauc_slots(porch_rauc *r, porch_rauc_slot ret[PORCH_RAUC_SLOTS], porch_why *why) {
    sd_bus_error error = SD_BUS_ERROR_NULL;
    sd_bus_message *m = NULL;
    porch_rauc_slot found[PORCH_RAUC_SLOTS];
    size_t count = 0;
    int rc = sd_bus_call_method(r->bus, service, object, interface, "GetSlotStatus", &error, &m, "");
    if (rc >= 0) rc = sd_bus_message_enter_container(m, 'a', "(sa{sv})");
    status s;
    while (rc >= 0 && (rc = read_slot(m, &s)) > 0) {
        if (s.bootable && count < PORCH_RAUC_SLOTS) found[count] = s.slot;
        count += s.bootable;
    }
    porch_err e = rc < 0 ? fail(why, "RAUC does not tell its slots", rc, &error) : PORCH_OK;
    if (e == PORCH_OK && count != PORCH_RAUC_SLOTS)
        e = porch_fail(why, PORCH_ERR_UNSUPPORTED, "RAUC has %zu slots with a bootname, two are needed",
                       count);
    if (e == PORCH_OK) {
        qsort(found, count, sizeof found[0], by_name);
        memcpy(ret, found, sizeof found);
    }
    (void)sd_bus_message_unref(m);
    sd_bus_error_free(&error);
    return e;
}

porch_err porch_rauc_mark(porch_rauc *r, const char *state, const char *slot, porch_why *why) {
    sd_bus_error error = SD_BUS_ERROR_NULL;
    sd_bus_message *m = NULL;
    int rc = sd_bus_call_method(r->bus, service, object, interface, "Mark", &error, &m, "ss", state, slot);
    porch_err e = rc < 0 ? fail(why, "RAUC does not mark the slot", rc, &error) : PORCH_OK;
    (void)sd_bus_message_unref(m);
    sd_bus_error_free(&error);
    return e;
}

/* ---- installing ---- */

static int on_completed(sd_bus_message *m, void *ctx, sd_bus_error *unused) {
    porch_rauc *r = ctx;
    (void)unused;
    r->completed = sd_bus_message_read(m, "i", &r->result) >= 0;
    return 0;
}

static porch_err last_error(porch_rauc *r, porch_why *why) {
    sd_bus_error error = SD_BUS_ERROR_NULL;
    char *text = NULL;
    (void)sd_bus_get_property_string(r->bus, service, object, interface, "LastError", &error, &text);
    porch_err e = porch_fail(why, PORCH_ERR_DENIED, "RAUC: %.200s",
                             text != NULL && text[0] != '\0' ? text : "the installation failed");
    sd_bus_error_free(&error);
    free(text);
    return e;
}

static porch_err wait_for_end(porch_rauc *r, porch_why *why) {
    uint64_t until_ms = porch_clock_mono_ms() + (uint64_t)PORCH_RAUC_INSTALL_S * 1000;
    while (!r->completed) {
        int rc = sd_bus_process(r->bus, NULL);
        if (rc < 0) return fail(why, "the message bus is gone", rc, NULL);
        if (rc > 0) continue;
        if (porch_clock_mono_ms() >= until_ms)
            return porch_fail(why, PORCH_ERR_TIMEOUT, "RAUC did not end in %d s", PORCH_RAUC_INSTALL_S);
        rc = sd_bus_wait(r->bus, UINT64_C(1000000));
        if (rc < 0) return fail(why, "the message bus is gone", rc, NULL);
    }
    return r->result == 0 ? PORCH_OK : last_error(r, why);
}

porch_err porch_rauc_install(porch_rauc *r, const char *bundle, porch_why *why) {
    sd_bus_error error = SD_BUS_ERROR_NULL;
    sd_bus_slot *match = NULL;
    sd_bus_message *m = NULL;
    r->completed = false;
    r->result = -1;
    int rc = sd_bus_match_signal(r->bus, &match, service, object, interface, "Completed", on_completed, r);
    if (rc >= 0)
        rc = sd_bus_call_method(r->bus, service, object, interface, "InstallBundle", &error, &m, "sa{sv}",
                                bundle, 0);
    porch_err e = rc < 0 ? fail(why, "RAUC does not take the bundle", rc, &error) : wait_for_end(r, why);
    (void)sd_bus_slot_unref(match);
    (void)sd_bus_message_unref(m);
    sd_bus_error_free(&error);
    return e;
}
