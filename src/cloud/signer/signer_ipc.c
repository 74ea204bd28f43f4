#include "cloud/signer/signer_ipc.h"

#include "base/cursor.h"
#include "os/call.h"

enum {
    HAS_PROFILE = 1,
    HAS_DAYS = 2,
    HAS_NAMES = 4,
    HAS_NAME = 8,
    HAS_TIME = 16,
    HAS_CODE = 32,
    HAS_DATA = 64
};

static const struct {
    const char *name;
    unsigned fields;
} ops[PORCH_SIGNER_OP_END] = {
    [PORCH_SIGNER_OP_ISSUE] = {"issue", HAS_PROFILE | HAS_DAYS | HAS_NAMES | HAS_DATA},
    [PORCH_SIGNER_OP_TOTP_MAKE] = {"totp-make", HAS_NAME},
    [PORCH_SIGNER_OP_TOTP_CHECK] = {"totp-check", HAS_NAME | HAS_TIME | HAS_CODE | HAS_DATA},
    [PORCH_SIGNER_OP_SEAL] = {"seal", HAS_NAME | HAS_DATA},
    [PORCH_SIGNER_OP_UNSEAL] = {"unseal", HAS_NAME | HAS_DATA},
    [PORCH_SIGNER_OP_CLIP_KEY] = {"clip-key", HAS_NAME},
    [PORCH_SIGNER_OP_VAPID_KEY] = {"vapid-key", 0},
    [PORCH_SIGNER_OP_VAPID_TOKEN] = {"vapid-token", HAS_NAME | HAS_TIME},
    [PORCH_SIGNER_OP_FORGET] = {"forget", HAS_NAME},
    [PORCH_SIGNER_OP_TRUST_HEAD] = {"trust-head", HAS_DATA},
    [PORCH_SIGNER_OP_UPDATE_KEYS] = {"update-keys", 0},
    [PORCH_SIGNER_OP_UPDATE_SIGN] = {"update-sign", HAS_DATA},
    [PORCH_SIGNER_OP_TIME] = {"time", HAS_DATA},
    [PORCH_SIGNER_OP_TIME_KEY] = {"time-key", 0},
    [PORCH_SIGNER_OP_ISSUER_NEXT] = {"issuer-next", 0},
    [PORCH_SIGNER_OP_ISSUER_USE] = {"issuer-use", HAS_DATA},
    [PORCH_SIGNER_OP_CLOCK] = {"clock", HAS_NAME},
    [PORCH_SIGNER_OP_ISSUER_FORGET] = {"issuer-forget", HAS_DATA},
};

static bool op_known(unsigned op) {
    return op > 0 && op < PORCH_SIGNER_OP_END;
}

const char *porch_signer_op_name(porch_signer_op op) {
    return op_known((unsigned)op) ? ops[op].name : "unknown";
}

static porch_err write_names(porch_buf *b, const porch_signer_request *in) {
    if (in->names_count > PORCH_SIGNER_NAMES_MAX) return PORCH_ERR_LIMIT;
    PORCH_TRY(porch_write_u8(b, (uint8_t)in->names_count));
    for (size_t i = 0; i < in->names_count; i++) {
        if (in->names[i].len > PORCH_SIGNER_NAME_MAX) return PORCH_ERR_LIMIT;
        PORCH_TRY(porch_write_block16(b, in->names[i]));
    }
    return PORCH_OK;
}

static porch_err write_request(porch_buf *b, const porch_signer_request *in) {
    if (!op_known((unsigned)in->op)) return PORCH_ERR_INTERNAL;
    unsigned fields = ops[in->op].fields;
    PORCH_TRY(porch_call_request_write(b, in->number, PORCH_SIGNER_IPC_VERSION));
    PORCH_TRY(porch_write_u8(b, (uint8_t)in->op));
    if (fields & HAS_PROFILE) PORCH_TRY(porch_write_u8(b, (uint8_t)in->profile));
    if (fields & HAS_DAYS) PORCH_TRY(porch_write_u32(b, in->days));
    if (fields & HAS_NAMES) PORCH_TRY(write_names(b, in));
    if (fields & HAS_NAME) {
        if (in->name.len > PORCH_SIGNER_NAME_MAX) return PORCH_ERR_LIMIT;
        PORCH_TRY(porch_write_block16(b, in->name));
    }
    if (fields & HAS_TIME) PORCH_TRY(porch_write_u64(b, in->now_ms));
    if (fields & HAS_CODE) PORCH_TRY(porch_write_block16(b, in->code));
    if (fields & HAS_DATA) PORCH_TRY(porch_write_block32(b, in->data));
    return PORCH_OK;
}

porch_err porch_signer_request_write(porch_buf *out, const porch_signer_request *in) {
    porch_buf b = *out;
    PORCH_TRY(write_request(&b, in));
    if (b.len - out->len > PORCH_SIGNER_MESSAGE_MAX) return PORCH_ERR_LIMIT;
    *out = b;
    return PORCH_OK;
}

static porch_err read_profile(porch_reader *r, porch_signer_profile *ret) {
    uint8_t v = 0;
    PORCH_TRY(porch_read_u8(r, &v));
    if (v < PORCH_SIGNER_DEVICE || v > PORCH_SIGNER_WEB_SERVER) return PORCH_ERR_MALFORMED;
    *ret = (porch_signer_profile)v;
    return PORCH_OK;
}

static porch_err read_name(porch_reader *r, porch_bytes *ret) {
    porch_bytes v;
    PORCH_TRY(porch_read_block16(r, &v));
    if (v.len == 0 || v.len > PORCH_SIGNER_NAME_MAX) return PORCH_ERR_LIMIT;
    for (size_t i = 0; i < v.len; i++)
        if (v.at[i] < 0x21 || v.at[i] > 0x7e) return PORCH_ERR_MALFORMED;
    *ret = v;
    return PORCH_OK;
}

static porch_err read_names(porch_reader *r, porch_signer_request *ret) {
    uint8_t count = 0;
    PORCH_TRY(porch_read_u8(r, &count));
    if (count == 0) return PORCH_ERR_MALFORMED;
    if (count > PORCH_SIGNER_NAMES_MAX) return PORCH_ERR_LIMIT;
    for (size_t i = 0; i < count; i++)
        PORCH_TRY(read_name(r, &ret->names[i]));
    ret->names_count = count;
    return PORCH_OK;
}

porch_err porch_signer_request_read(porch_bytes message, porch_signer_request *ret) {
    if (message.len > PORCH_SIGNER_MESSAGE_MAX) return PORCH_ERR_LIMIT;
    porch_reader r = porch_reader_of(message);
    porch_signer_request got = {0};
    uint8_t op = 0;
    PORCH_TRY(porch_call_request_read(&r, PORCH_SIGNER_IPC_VERSION, &got.number));
    PORCH_TRY(porch_read_u8(&r, &op));
    if (!op_known(op)) return PORCH_ERR_UNSUPPORTED;
    got.op = (porch_signer_op)op;
    unsigned fields = ops[op].fields;
    if (fields & HAS_PROFILE) PORCH_TRY(read_profile(&r, &got.profile));
    if (fields & HAS_DAYS) PORCH_TRY(porch_read_u32(&r, &got.days));
    if (fields & HAS_NAMES) PORCH_TRY(read_names(&r, &got));
    if (fields & HAS_NAME) PORCH_TRY(read_name(&r, &got.name));
    if (fields & HAS_TIME) PORCH_TRY(porch_read_u64(&r, &got.now_ms));
    if (fields & HAS_CODE) PORCH_TRY(porch_read_block16(&r, &got.code));
    if (fields & HAS_DATA) PORCH_TRY(porch_read_block32(&r, &got.data));
    if (!porch_reader_done(&r)) return PORCH_ERR_MALFORMED;
    *ret = got;
    return PORCH_OK;
}

porch_err porch_signer_answer_write(porch_buf *out, const porch_signer_answer *in) {
    porch_buf b = *out;
    PORCH_TRY(porch_call_answer_write(&b, in->number, PORCH_SIGNER_IPC_VERSION, in->error));
    PORCH_TRY(porch_write_block16(&b, in->why));
    PORCH_TRY(porch_write_block16(&b, in->secret));
    PORCH_TRY(porch_write_block32(&b, in->data));
    *out = b;
    return PORCH_OK;
}

porch_err porch_signer_answer_read(porch_bytes message, porch_signer_answer *ret) {
    porch_reader r = porch_reader_of(message);
    porch_signer_answer got = {0};
    PORCH_TRY(porch_call_answer_read(&r, PORCH_SIGNER_IPC_VERSION, &got.number, &got.error));
    PORCH_TRY(porch_read_block16(&r, &got.why));
    PORCH_TRY(porch_read_block16(&r, &got.secret));
    PORCH_TRY(porch_read_block32(&r, &got.data));
    if (!porch_reader_done(&r)) return PORCH_ERR_MALFORMED;
    *ret = got;
    return PORCH_OK;
}
