#include "device/conf.h"

#include "base/cursor.h"
#include "base/text.h"
#include "wire/id.h"

/* Readers take a value without surrounding blanks and fill the field. */
typedef porch_err (*value_reader)(porch_bytes value, void *field, size_t field_bytes);

static porch_err read_id(porch_bytes value, void *field, size_t field_bytes) {
    porch_id id;
    PORCH_TRY(porch_id_parse(value, &id));
    return porch_bytes_to_text(value, field, field_bytes) ? PORCH_OK : PORCH_ERR_LIMIT;
}

static porch_err read_host(porch_bytes value, void *field, size_t field_bytes) {
    if (value.len == 0) return PORCH_ERR_MALFORMED;
    for (size_t i = 0; i < value.len; i++) {
        uint8_t c = value.at[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        bool digit = c >= '0' && c <= '9';
        if (!letter && !digit && c != '-' && c != '.' && c != ':') return PORCH_ERR_MALFORMED;
    }
    return porch_bytes_to_text(value, field, field_bytes) ? PORCH_OK : PORCH_ERR_LIMIT;
}

static porch_err read_port(porch_bytes value, void *field, size_t field_bytes) {
    (void)field_bytes;
    uint64_t port = 0;
    PORCH_TRY(porch_decimal_read(value, UINT16_MAX, &port));
    if (port == 0) return PORCH_ERR_LIMIT;
    *(uint16_t *)field = (uint16_t)port;
    return PORCH_OK;
}

static porch_err read_text(porch_bytes value, void *field, size_t field_bytes) {
    if (value.len == 0) return PORCH_ERR_MALFORMED;
    return porch_bytes_to_text(value, field, field_bytes) ? PORCH_OK : PORCH_ERR_LIMIT;
}

static porch_err read_key(porch_bytes value, void *field, size_t field_bytes) {
    porch_device_conf_key *key = field;
    (void)field_bytes;
    porch_buf b = {key->at, 0, sizeof key->at};
    PORCH_TRY(porch_base64_read(&b, value, false));
    if (b.len != sizeof key->at) return PORCH_ERR_MALFORMED;
    key->there = true;
    return PORCH_OK;
}

/* A switch that is only ever turned on: leaving it out turns it off. */
static porch_err read_true(porch_bytes value, void *field, size_t field_bytes) {
    (void)field_bytes;
    if (!porch_bytes_eq_text(value, "true")) return PORCH_ERR_MALFORMED;
    *(bool *)field = true;
    return PORCH_OK;
}

typedef struct {
    const char *key;
    size_t offset;
    size_t bytes;
    value_reader read;
    bool needed;
} conf_key;

#define KEY_ROW(key, field, reader, needed, help) \
    {key, offsetof(porch_device_conf, field), sizeof(((porch_device_conf *)0)->field), reader, needed},
static const conf_key keys[] = {PORCH_DEVICE_CONF_KEYS(KEY_ROW)};
#undef KEY_ROW

enum { KEY_COUNT = sizeof keys / sizeof keys[0], KEY_BYTES_MOST = 32 };

/* Edit distance, at most KEY_BYTES_MOST long texts; longer ones count as far away. */
static size_t distance(porch_bytes a, porch_bytes b) {
    size_t row[KEY_BYTES_MOST + 1];
    if (a.len > KEY_BYTES_MOST || b.len > KEY_BYTES_MOST) return KEY_BYTES_MOST;
    for (size_t k = 0; k <= b.len; k++)
        row[k] = k;
    for (size_t i = 1; i <= a.len; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t k = 1; k <= b.len; k++) {
            size_t change = diagonal + (a.at[i - 1] == b.at[k - 1] ? 0 : 1);
            size_t shorter = row[k] < row[k - 1] ? row[k] + 1 : row[k - 1] + 1;
            diagonal = row[k];
            row[k] = change < shorter ? change : shorter;
        }
    }
    return row[b.len];
}

static const char *nearest(porch_bytes key) {
    size_t best = 0, best_distance = SIZE_MAX;
    for (size_t i = 0; i < KEY_COUNT; i++) {
        size_t d = distance(key, porch_bytes_of(keys[i].key));
        if (d < best_distance) {
            best = i;
            best_distance = d;
        }
    }
    return keys[best].key;
}

static porch_bytes trim(porch_bytes b) {
    while (b.len > 0 && (b.at[0] == ' ' || b.at[0] == '\t')) {
        b.at++;
        b.len--;
    }
    while (b.len > 0 && (b.at[b.len - 1] == ' ' || b.at[b.len - 1] == '\t' || b.at[b.len - 1] == '\r'))
        b.len--;
    return b;
}

static bool printable(porch_bytes b) {
    for (size_t i = 0; i < b.len; i++)
        if (b.at[i] < 0x20 || b.at[i] > 0x7e) return false;
    return true;
}

static porch_err parse_line(porch_bytes line, unsigned number, porch_device_conf *conf, bool *seen,
                            porch_why *why) {
    line = trim(line);
    if (line.len == 0 || line.at[0] == '#') return PORCH_OK;
    size_t eq = 0;
    while (eq < line.len && line.at[eq] != '=')
        eq++;
    if (eq == line.len)
        return porch_fail(why, PORCH_ERR_CONFIG,
                          "device.conf line %u has no '='; write `section.key = value`", number);
    porch_bytes key = trim((porch_bytes){line.at, eq});
    porch_bytes value = trim((porch_bytes){line.at + eq + 1, line.len - eq - 1});
    if (!printable(key) || !printable(value))
        return porch_fail(why, PORCH_ERR_CONFIG, "device.conf line %u holds bytes that are not plain text",
                          number);
    for (size_t i = 0; i < KEY_COUNT; i++) {
        if (!porch_bytes_eq_text(key, keys[i].key)) continue;
        if (seen[i])
            return porch_fail(why, PORCH_ERR_CONFIG, "device.conf line %u repeats %s; keep one of them",
                              number, keys[i].key);
        seen[i] = true;
        if (keys[i].read(value, (char *)conf + keys[i].offset, keys[i].bytes) != PORCH_OK)
            return porch_fail(why, PORCH_ERR_CONFIG, "device.conf line %u: '%.*s' is no value for %s",
                              number, (int)(value.len < 64 ? value.len : 64), (const char *)value.at,
                              keys[i].key);
        return PORCH_OK;
    }
    return porch_fail(
        why, PORCH_ERR_CONFIG,
        "device.conf line %u: there is no key '%.*s'; the nearest is %s. No key changes whom the "
        "device trusts: that is ca.pem",
        number, (int)(key.len < 32 ? key.len : 32), (const char *)key.at, nearest(key));
}

porch_err porch_device_conf_parse(porch_bytes text, porch_device_conf *ret, porch_why *why) {
    if (text.len > PORCH_DEVICE_CONF_BYTES_MOST)
        return porch_fail(why, PORCH_ERR_CONFIG, "device.conf is longer than %d bytes",
                          PORCH_DEVICE_CONF_BYTES_MOST);
    porch_device_conf conf = {0};
    bool seen[KEY_COUNT] = {false};
    unsigned number = 0;
    while (text.len > 0) {
        size_t end = 0;
        while (end < text.len && text.at[end] != '\n')
            end++;
        number++;
        PORCH_TRY(parse_line((porch_bytes){text.at, end}, number, &conf, seen, why));
        size_t used = end < text.len ? end + 1 : end;
        text.at += used;
        text.len -= used;
    }
    for (size_t i = 0; i < KEY_COUNT; i++)
        if (keys[i].needed && !seen[i])
            return porch_fail(why, PORCH_ERR_CONFIG,
                              "device.conf lacks %s; `porchlight device add` writes it", keys[i].key);
    if ((conf.device_id[0] != 0) == (conf.service[0] != 0))
        return porch_fail(why, PORCH_ERR_CONFIG,
                          "device.conf needs exactly one of device.id and service.name");
    *ret = conf;
    return PORCH_OK;
}

static porch_err write_line(porch_buf *b, const char *key, porch_bytes value) {
    PORCH_TRY(porch_write_text(b, key));
    PORCH_TRY(porch_write_text(b, " = "));
    PORCH_TRY(porch_write_bytes(b, value));
    return porch_write_text(b, "\n");
}

porch_err porch_device_conf_tell(const porch_device_told *told, porch_buf *conf, porch_why *why) {
    char id[65];
    porch_device_conf_key key;
    const struct {
        const char *name;
        porch_bytes value;
        value_reader read;
        void *field;
        size_t bytes;
    } lines[] = {{"hub.id", told->hub_id, read_id, id, sizeof id},
                 {"device.product", told->product, read_id, id, sizeof id},
                 {"hub.time_key", told->time_key, read_key, &key, sizeof key}};
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        if (lines[i].value.len == 0) continue;
        if (lines[i].read(lines[i].value, lines[i].field, lines[i].bytes) != PORCH_OK)
            return porch_fail(why, PORCH_ERR_MALFORMED, "what the hub says is no value for %s",
                              lines[i].name);
        if (write_line(conf, lines[i].name, lines[i].value) != PORCH_OK)
            return porch_fail(why, PORCH_ERR_NO_SPACE, "device.conf is too long");
    }
    return PORCH_OK;
}

const char *porch_device_conf_name(const porch_device_conf *conf) {
    return conf->device_id[0] != 0 ? conf->device_id : conf->service;
}
