#include "wire/signed_time.h"

#include "base/cursor.h"
#include "base/text.h"
#include "wire/id.h"

#define TITLE      "porchlight time 1\n"
#define AT_MOST_MS UINT64_C(253402300799999)

porch_err porch_signed_time_statement(const porch_signed_time *t, porch_buf *out) {
    porch_buf b = *out;
    PORCH_TRY(porch_write_text(&b, TITLE "hub "));
    PORCH_TRY(porch_write_text(&b, t->hub));
    PORCH_TRY(porch_write_text(&b, "\nnonce "));
    PORCH_TRY(porch_hex_write(&b, (porch_bytes){t->nonce, sizeof t->nonce}));
    PORCH_TRY(porch_write_text(&b, "\ntime "));
    PORCH_TRY(porch_write_decimal(&b, t->at_ms));
    PORCH_TRY(porch_write_text(&b, "\ntimestamp "));
    if (t->has_timestamp)
        PORCH_TRY(porch_hex_write(&b, (porch_bytes){t->timestamp, sizeof t->timestamp}));
    else
        PORCH_TRY(porch_write_text(&b, "-"));
    PORCH_TRY(porch_write_text(&b, "\n"));
    *out = b;
    return PORCH_OK;
}

porch_err porch_signed_time_sign(porch_bytes signature, porch_buf *out) {
    porch_buf b = *out;
    PORCH_TRY(porch_write_text(&b, "signature "));
    PORCH_TRY(porch_base64_write(&b, signature, false));
    PORCH_TRY(porch_write_text(&b, "\n"));
    *out = b;
    return PORCH_OK;
}

/* The value of the line `name value LF`. */
static porch_err take_line(porch_reader *r, const char *name, porch_bytes *value) {
    const porch_bytes word = porch_bytes_of(name);
    size_t end = 0;
    while (end < r->rest.len && r->rest.at[end] != '\n')
        end++;
    if (end == r->rest.len) return PORCH_ERR_TRUNCATED;
    if (end <= word.len || !porch_bytes_starts(r->rest, word) || r->rest.at[word.len] != ' ')
        return PORCH_ERR_MALFORMED;
    *value = (porch_bytes){r->rest.at + word.len + 1, end - word.len - 1};
    porch_bytes line;
    return porch_read_bytes(r, end + 1, &line);
}

static porch_err read_hex(porch_bytes text, uint8_t *out, size_t bytes) {
    porch_buf b = {out, 0, bytes};
    PORCH_TRY(porch_hex_read(&b, text));
    return b.len == bytes ? PORCH_OK : PORCH_ERR_MALFORMED;
}

static porch_err read_values(porch_reader *r, porch_signed_time *t) {
    porch_bytes value;
    porch_id hub;
    PORCH_TRY(take_line(r, "hub", &value));
    PORCH_TRY(porch_id_parse(value, &hub));
    if (!porch_bytes_to_text(value, t->hub, sizeof t->hub)) return PORCH_ERR_LIMIT;
    PORCH_TRY(take_line(r, "nonce", &value));
    PORCH_TRY(read_hex(value, t->nonce, sizeof t->nonce));
    PORCH_TRY(take_line(r, "time", &value));
    PORCH_TRY(porch_decimal_read(value, AT_MOST_MS, &t->at_ms));
    PORCH_TRY(take_line(r, "timestamp", &value));
    t->has_timestamp = !porch_bytes_eq_text(value, "-");
    return t->has_timestamp ? read_hex(value, t->timestamp, sizeof t->timestamp) : PORCH_OK;
}

porch_err porch_signed_time_read(porch_bytes text, porch_signed_time *ret, porch_bytes *statement,
                                 uint8_t signature[PORCH_SIGNED_TIME_SIGNATURE_BYTES]) {
    porch_signed_time t = {.at_ms = 0};
    uint8_t made[PORCH_SIGNED_TIME_SIGNATURE_BYTES];
    porch_buf b = PORCH_BUF_OF(made);
    porch_reader r = porch_reader_of(text);
    porch_bytes title, value;
    if (text.len > PORCH_SIGNED_TIME_BYTES) return PORCH_ERR_LIMIT;
    PORCH_TRY(porch_read_bytes(&r, sizeof TITLE - 1, &title));
    if (!porch_bytes_eq_text(title, TITLE)) return PORCH_ERR_UNSUPPORTED;
    PORCH_TRY(read_values(&r, &t));
    const porch_bytes signed_part = {text.at, text.len - r.rest.len};
    PORCH_TRY(take_line(&r, "signature", &value));
    PORCH_TRY(porch_base64_read(&b, value, false));
    if (b.len != sizeof made || !porch_reader_done(&r)) return PORCH_ERR_MALFORMED;
    for (size_t i = 0; i < sizeof made; i++)
        signature[i] = made[i];
    *statement = signed_part;
    *ret = t;
    return PORCH_OK;
}
