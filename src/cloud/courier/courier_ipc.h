/* The messages between hub and courier: one request, one answer, each one SEQPACKET message.
 *
 *   request  number u32 | version u8 | timeout_ms u32 | url block16 | count u8 | name block16, value
 *            block16 ... | body block32
 *   answer   number u32 | version u8 | error u8 | status u16 | why block16
 *
 * The courier trusts nothing of it: the parser accepts only header names and values that can stand in one
 * HTTP header line, so a stored text cannot add a header of its own. Views look into the message. */
#ifndef PORCH_CLOUD_COURIER_IPC_H
#define PORCH_CLOUD_COURIER_IPC_H

#include "base/bytes.h"
#include "base/error.h"
#include "cloud/courier/courier_client.h"

enum { PORCH_COURIER_IPC_VERSION = 1, PORCH_COURIER_MESSAGE_MAX = 122880 };

typedef struct {
    uint32_t number;
    uint32_t timeout_ms;
    porch_bytes url;
    porch_bytes header_names[PORCH_COURIER_HEADERS_MAX];
    porch_bytes header_values[PORCH_COURIER_HEADERS_MAX];
    size_t headers_count;
    porch_bytes body;
} porch_courier_message;

typedef struct {
    uint32_t number;
    porch_err error;
    uint16_t status;
    porch_bytes why;
} porch_courier_answer;

porch_err porch_courier_message_write(porch_buf *out, const porch_courier_message *in);
porch_err porch_courier_message_read(porch_bytes message, porch_courier_message *ret);
porch_err porch_courier_answer_write(porch_buf *out, const porch_courier_answer *in);
porch_err porch_courier_answer_read(porch_bytes message, porch_courier_answer *ret);

#endif
