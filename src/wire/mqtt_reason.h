/* MQTT reason codes: the list, where each may stand, and how a fault found by a decoder is told.
 *
 * The list is MQTT 5.0, table 2-6, one row a code: X(NAME, value, packets that may carry it, sentence).
 * A decoder that refuses input fills a porch_mqtt_fault with the code to send to the peer (in CONNACK or
 * DISCONNECT, where the version has one) and a sentence that names the place, for reason string and log. */
#ifndef PORCH_WIRE_MQTT_REASON_H
#define PORCH_WIRE_MQTT_REASON_H

#include "base/bytes.h"
#include "base/error.h"

/* Protocol level as it stands in CONNECT. */
typedef enum { PORCH_MQTT_V311 = 4, PORCH_MQTT_V5 = 5 } porch_mqtt_version;

/* Who sent the packet that is being read. */
typedef enum { PORCH_MQTT_FROM_CLIENT, PORCH_MQTT_FROM_SERVER } porch_mqtt_sender;

typedef enum {
    PORCH_MQTT_CONNECT = 1,
    PORCH_MQTT_CONNACK = 2,
    PORCH_MQTT_PUBLISH = 3,
    PORCH_MQTT_PUBACK = 4,
    PORCH_MQTT_PUBREC = 5,
    PORCH_MQTT_PUBREL = 6,
    PORCH_MQTT_PUBCOMP = 7,
    PORCH_MQTT_SUBSCRIBE = 8,
    PORCH_MQTT_SUBACK = 9,
    PORCH_MQTT_UNSUBSCRIBE = 10,
    PORCH_MQTT_UNSUBACK = 11,
    PORCH_MQTT_PINGREQ = 12,
    PORCH_MQTT_PINGRESP = 13,
    PORCH_MQTT_DISCONNECT = 14,
    PORCH_MQTT_AUTH = 15,
    PORCH_MQTT_TYPE_COUNT
} porch_mqtt_type;

/* Sets of packet types, as bits; the short names keep the tables below readable. Bit 0 stands for the will
 * inside CONNECT, which has properties of its own. */
#define PORCH_MQTT_BIT(type)  (1u << (type))
#define PORCH_MQTT_WILL       0
#define PORCH_MQTT_IN_WILL    PORCH_MQTT_BIT(PORCH_MQTT_WILL)
#define PORCH_MQTT_IN_CONNECT PORCH_MQTT_BIT(PORCH_MQTT_CONNECT)
#define PORCH_MQTT_IN_CONNACK PORCH_MQTT_BIT(PORCH_MQTT_CONNACK)
#define PORCH_MQTT_IN_PUBLISH PORCH_MQTT_BIT(PORCH_MQTT_PUBLISH)
#define PORCH_MQTT_IN_PUBACK  PORCH_MQTT_BIT(PORCH_MQTT_PUBACK)
#define PORCH_MQTT_IN_PUBREC  PORCH_MQTT_BIT(PORCH_MQTT_PUBREC)
#define PORCH_MQTT_IN_PUBREL  PORCH_MQTT_BIT(PORCH_MQTT_PUBREL)
#define PORCH_MQTT_IN_PUBCOMP PORCH_MQTT_BIT(PORCH_MQTT_PUBCOMP)
#define PORCH_MQTT_IN_SUB     PORCH_MQTT_BIT(PORCH_MQTT_SUBSCRIBE)
#define PORCH_MQTT_IN_SUBACK  PORCH_MQTT_BIT(PORCH_MQTT_SUBACK)
#define PORCH_MQTT_IN_UNSUB   PORCH_MQTT_BIT(PORCH_MQTT_UNSUBSCRIBE)
#define PORCH_MQTT_IN_UNSUBAK PORCH_MQTT_BIT(PORCH_MQTT_UNSUBACK)
#define PORCH_MQTT_IN_DISCON  PORCH_MQTT_BIT(PORCH_MQTT_DISCONNECT)
#define PORCH_MQTT_IN_AUTH    PORCH_MQTT_BIT(PORCH_MQTT_AUTH)
#define PORCH_MQTT_IN_PUBRX   (PORCH_MQTT_IN_PUBACK | PORCH_MQTT_IN_PUBREC)
#define PORCH_MQTT_IN_RELCOMP (PORCH_MQTT_IN_PUBREL | PORCH_MQTT_IN_PUBCOMP)
#define PORCH_MQTT_IN_SUBS    (PORCH_MQTT_IN_SUBACK | PORCH_MQTT_IN_UNSUBAK)
#define PORCH_MQTT_IN_BOTH    (PORCH_MQTT_IN_CONNACK | PORCH_MQTT_IN_DISCON)

/* The first three rows share the value 0; which name fits depends on the packet. */
#define PORCH_MQTT_REASON_LIST(X)                                                                   \
    X(SUCCESS, 0x00,                                                                                \
      PORCH_MQTT_IN_CONNACK | PORCH_MQTT_IN_PUBRX | PORCH_MQTT_IN_RELCOMP | PORCH_MQTT_IN_SUBS |    \
          PORCH_MQTT_IN_DISCON | PORCH_MQTT_IN_AUTH,                                                \
      "success")                                                                                    \
    X(GRANTED_QOS1, 0x01, PORCH_MQTT_IN_SUBACK, "granted, QoS 1")                                   \
    X(GRANTED_QOS2, 0x02, PORCH_MQTT_IN_SUBACK, "granted, QoS 2")                                   \
    X(DISCONNECT_WITH_WILL, 0x04, PORCH_MQTT_IN_DISCON, "closing; publish the will")                \
    X(NO_MATCHING_SUBSCRIBERS, 0x10, PORCH_MQTT_IN_PUBRX, "accepted; nobody subscribes")            \
    X(NO_SUBSCRIPTION_EXISTED, 0x11, PORCH_MQTT_IN_UNSUBAK, "there was no such subscription")       \
    X(CONTINUE_AUTHENTICATION, 0x18, PORCH_MQTT_IN_AUTH, "continue the authentication")             \
    X(REAUTHENTICATE, 0x19, PORCH_MQTT_IN_AUTH, "authenticate again")                               \
    X(UNSPECIFIED_ERROR, 0x80, PORCH_MQTT_IN_BOTH | PORCH_MQTT_IN_PUBRX | PORCH_MQTT_IN_SUBS,       \
      "refused without a reason of its own")                                                        \
    X(MALFORMED_PACKET, 0x81, PORCH_MQTT_IN_BOTH, "the packet breaks the format")                   \
    X(PROTOCOL_ERROR, 0x82, PORCH_MQTT_IN_BOTH, "the packet breaks the protocol's rules")           \
    X(IMPLEMENTATION_ERROR, 0x83, PORCH_MQTT_IN_BOTH | PORCH_MQTT_IN_PUBRX | PORCH_MQTT_IN_SUBS,    \
      "valid, but not accepted by this receiver")                                                   \
    X(UNSUPPORTED_VERSION, 0x84, PORCH_MQTT_IN_CONNACK, "this protocol version is not spoken here") \
    X(CLIENT_ID_INVALID, 0x85, PORCH_MQTT_IN_CONNACK, "the client identifier is not yours")         \
    X(BAD_CREDENTIALS, 0x86, PORCH_MQTT_IN_CONNACK, "wrong user name or password")                  \
    X(NOT_AUTHORIZED, 0x87, PORCH_MQTT_IN_BOTH | PORCH_MQTT_IN_PUBRX | PORCH_MQTT_IN_SUBS,          \
      "not authorized")                                                                             \
    X(SERVER_UNAVAILABLE, 0x88, PORCH_MQTT_IN_CONNACK, "the server is not available")               \
    X(SERVER_BUSY, 0x89, PORCH_MQTT_IN_BOTH, "the server is busy; try again later")                 \
    X(BANNED, 0x8a, PORCH_MQTT_IN_CONNACK, "banned by an operator")                                 \
    X(SERVER_SHUTTING_DOWN, 0x8b, PORCH_MQTT_IN_DISCON, "the server is shutting down")              \
    X(BAD_AUTH_METHOD, 0x8c, PORCH_MQTT_IN_BOTH, "this authentication method is not offered")       \
    X(KEEP_ALIVE_TIMEOUT, 0x8d, PORCH_MQTT_IN_DISCON, "nothing was heard for 1.5 keep-alive times") \
    X(SESSION_TAKEN_OVER, 0x8e, PORCH_MQTT_IN_DISCON, "another connection took the session over")   \
    X(TOPIC_FILTER_INVALID, 0x8f, PORCH_MQTT_IN_SUBS | PORCH_MQTT_IN_DISCON,                        \
      "the topic filter is not accepted")                                                           \
    X(TOPIC_NAME_INVALID, 0x90, PORCH_MQTT_IN_BOTH | PORCH_MQTT_IN_PUBRX,                           \
      "the topic name is not accepted")                                                             \
    X(PACKET_ID_IN_USE, 0x91, PORCH_MQTT_IN_PUBRX | PORCH_MQTT_IN_SUBS,                             \
      "the packet identifier is already in use")                                                    \
    X(PACKET_ID_NOT_FOUND, 0x92, PORCH_MQTT_IN_RELCOMP, "there is no such packet identifier")       \
    X(RECEIVE_MAXIMUM_EXCEEDED, 0x93, PORCH_MQTT_IN_DISCON,                                         \
      "more unacknowledged publications than Receive Maximum")                                      \
    X(TOPIC_ALIAS_INVALID, 0x94, PORCH_MQTT_IN_DISCON, "the topic alias is 0 or above the maximum") \
    X(PACKET_TOO_LARGE, 0x95, PORCH_MQTT_IN_BOTH, "the packet is larger than the maximum")          \
    X(MESSAGE_RATE_TOO_HIGH, 0x96, PORCH_MQTT_IN_DISCON, "too many messages; slow down")            \
    X(QUOTA_EXCEEDED, 0x97, PORCH_MQTT_IN_BOTH | PORCH_MQTT_IN_PUBRX | PORCH_MQTT_IN_SUBACK,        \
      "a quota is used up")                                                                         \
    X(ADMINISTRATIVE_ACTION, 0x98, PORCH_MQTT_IN_DISCON, "closed by an operator")                   \
    X(PAYLOAD_FORMAT_INVALID, 0x99, PORCH_MQTT_IN_BOTH | PORCH_MQTT_IN_PUBRX,                       \
      "the payload does not have the format that it claims")                                        \
    X(RETAIN_NOT_SUPPORTED, 0x9a, PORCH_MQTT_IN_BOTH, "retained messages are not offered")          \
    X(QOS_NOT_SUPPORTED, 0x9b, PORCH_MQTT_IN_BOTH, "this quality of service is not offered")        \
    X(USE_ANOTHER_SERVER, 0x9c, PORCH_MQTT_IN_BOTH, "use another server for now")                   \
    X(SERVER_MOVED, 0x9d, PORCH_MQTT_IN_BOTH, "the server has moved for good")                      \
    X(SHARED_NOT_SUPPORTED, 0x9e, PORCH_MQTT_IN_SUBACK | PORCH_MQTT_IN_DISCON,                      \
      "shared subscriptions are not offered")                                                       \
    X(CONNECTION_RATE_EXCEEDED, 0x9f, PORCH_MQTT_IN_BOTH, "too many connections; slow down")        \
    X(MAXIMUM_CONNECT_TIME, 0xa0, PORCH_MQTT_IN_DISCON, "this connection's time is over")           \
    X(SUBSCRIPTION_IDS_NOT_SUPPORTED, 0xa1, PORCH_MQTT_IN_SUBACK | PORCH_MQTT_IN_DISCON,            \
      "subscription identifiers are not offered")                                                   \
    X(WILDCARDS_NOT_SUPPORTED, 0xa2, PORCH_MQTT_IN_SUBACK | PORCH_MQTT_IN_DISCON,                   \
      "wildcard subscriptions are not offered")

#define PORCH_MQTT_REASON_ENUM(name, value, packets, text) PORCH_MQTT_RC_##name = (value),
typedef enum { PORCH_MQTT_REASON_LIST(PORCH_MQTT_REASON_ENUM) } porch_mqtt_reason;
#undef PORCH_MQTT_REASON_ENUM
/* Other standard names of the value 0. */
#define PORCH_MQTT_RC_GRANTED_QOS0         0x00
#define PORCH_MQTT_RC_NORMAL_DISCONNECTION 0x00

/* Why a decoder refused: filled only together with an error. `reason` is what to send to the peer, `what` a
 * sentence in static memory that names the place. */
typedef struct {
    uint8_t reason;
    const char *what;
} porch_mqtt_fault;

/* Sentence of a code, or "unknown reason code". Static memory. */
const char *porch_mqtt_reason_text(uint8_t reason);
/* May this packet type carry this code (MQTT 5.0)? */
bool porch_mqtt_reason_allowed(porch_mqtt_type type, uint8_t reason);

/* CONNACK return code of MQTT 3.1.1 (0 to 5) that comes nearest to a 5.0 reason code. A code above 5 does
 * not exist there: where 3.1.1 has no fitting one, the server closes without CONNACK and this gives 0xff.
 */
uint8_t porch_mqtt_connack_code_v311(uint8_t reason);
/* The other way, for clients: 5.0 reason code of a 3.1.1 return code. */
uint8_t porch_mqtt_connack_reason_of_v311(uint8_t return_code);

/* Fills `fault` (may be NULL) and returns PORCH_ERR_MALFORMED: the decoders' way out. */
porch_err porch_mqtt_refuse(porch_mqtt_fault *fault, uint8_t reason, const char *what);

#endif
