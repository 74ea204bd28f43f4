#include "wire/mqtt_reason.h"

typedef struct {
    uint8_t value;
    unsigned packets;
    const char *text;
} reason_row;

#define ROW(name, value, packets, text) {(value), (packets), (text)},
static const reason_row reasons[] = {PORCH_MQTT_REASON_LIST(ROW)};
#undef ROW

static const reason_row *find(uint8_t reason) {
    for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++) {
        if (reasons[i].value == reason) return &reasons[i];
    }
    return NULL;
}

const char *porch_mqtt_reason_text(uint8_t reason) {
    const reason_row *row = find(reason);
    return row == NULL ? "unknown reason code" : row->text;
}

bool porch_mqtt_reason_allowed(porch_mqtt_type type, uint8_t reason) {
    const reason_row *row = find(reason);
    return row != NULL && (row->packets & PORCH_MQTT_BIT(type)) != 0;
}

/* MQTT 3.1.1, table 3.1, and the 5.0 codes that mean the same. The first row of a return code is its
 * translation for clients. */
static const struct {
    uint8_t reason, return_code;
} connack_rows[] = {
    {PORCH_MQTT_RC_SUCCESS, 0},           {PORCH_MQTT_RC_UNSUPPORTED_VERSION, 1},
    {PORCH_MQTT_RC_CLIENT_ID_INVALID, 2}, {PORCH_MQTT_RC_SERVER_UNAVAILABLE, 3},
    {PORCH_MQTT_RC_SERVER_BUSY, 3},       {PORCH_MQTT_RC_CONNECTION_RATE_EXCEEDED, 3},
    {PORCH_MQTT_RC_QUOTA_EXCEEDED, 3},    {PORCH_MQTT_RC_BAD_CREDENTIALS, 4},
    {PORCH_MQTT_RC_NOT_AUTHORIZED, 5},    {PORCH_MQTT_RC_BANNED, 5},
};

uint8_t porch_mqtt_connack_code_v311(uint8_t reason) {
    for (size_t i = 0; i < sizeof connack_rows / sizeof connack_rows[0]; i++) {
        if (connack_rows[i].reason == reason) return connack_rows[i].return_code;
    }
    return 0xff;
}

uint8_t porch_mqtt_connack_reason_of_v311(uint8_t return_code) {
    for (size_t i = 0; i < sizeof connack_rows / sizeof connack_rows[0]; i++) {
        if (connack_rows[i].return_code == return_code) return connack_rows[i].reason;
    }
    return PORCH_MQTT_RC_UNSPECIFIED_ERROR;
}

porch_err porch_mqtt_refuse(porch_mqtt_fault *fault, uint8_t reason, const char *what) {
    if (fault != NULL) *fault = (porch_mqtt_fault){reason, what};
    return PORCH_ERR_MALFORMED;
}
