/* The C paho client's part in test_tours.py: a process is a client with a certificate, which does what the
 * lines of its standard input say and prints `done N` behind each; the end of input is the end.
 *
 *   paho_tour FOLDER PORT CLIENT_ID VERSION(4|5) FLAGS
 *
 * FLAGS: - or any of l (a lasting session), w (a will on lab/will). A line's words are parted by tabs:
 *   sub FILTER QOS     pub TOPIC QOS RETAIN(0|1) PAYLOAD     get     bye
 * A message is printed as `TOPIC QOS RETAINED PAYLOAD`, what CONNACK says of the session as `present 0|1`
 * (`present -` with 5.0, where this library does not tell).
 */
#define _DEFAULT_SOURCE
#include <MQTTClient.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PATIENCE_MS = 60000 };

static MQTTClient client;
static bool v5;

static void must(bool good, const char *what, int code) {
    if (good) return;
    (void)fprintf(stderr, "%s: %d\n", what, code);
    _exit(1);
}

static int number(const char *text) {
    return (int)strtol(text, NULL, 10);
}

static void open_client(const char *folder, const char *port, const char *id, const char *flags) {
    static char uri[64], ca[512], cert[512], key[512];
    static MQTTClient_willOptions will = MQTTClient_willOptions_initializer;
    MQTTClient_SSLOptions ssl = MQTTClient_SSLOptions_initializer;
    MQTTClient_createOptions create = MQTTClient_createOptions_initializer;
    bool lasts = strchr(flags, 'l') != NULL;
    (void)snprintf(uri, sizeof uri, "ssl://127.0.0.1:%s", port);
    (void)snprintf(ca, sizeof ca, "%s/ca.pem", folder);
    (void)snprintf(cert, sizeof cert, "%s/cert.pem", folder);
    (void)snprintf(key, sizeof key, "%s/key.pem", folder);
    ssl.trustStore = ca;
    ssl.keyStore = cert;
    ssl.privateKey = key;
    ssl.verify = 1;
    create.MQTTVersion = v5 ? MQTTVERSION_5 : MQTTVERSION_3_1_1;
    int rc = MQTTClient_createWithOptions(&client, uri, id, MQTTCLIENT_PERSISTENCE_NONE, NULL, &create);
    must(rc == MQTTCLIENT_SUCCESS, "create", rc);
    will.topicName = "lab/will";
    will.message = "gone";
    will.qos = 1;
    MQTTClient_connectOptions five = MQTTClient_connectOptions_initializer5;
    MQTTClient_connectOptions three = MQTTClient_connectOptions_initializer;
    MQTTClient_connectOptions connect = v5 ? five : three;
    connect.MQTTVersion = create.MQTTVersion;
    connect.ssl = &ssl;
    connect.keepAliveInterval = 30;
    connect.will = strchr(flags, 'w') != NULL ? &will : NULL;
    if (!v5) {
        connect.cleansession = !lasts;
        rc = MQTTClient_connect(client, &connect);
        must(rc == MQTTCLIENT_SUCCESS, "connect", rc);
        (void)printf("present %d\n", connect.returned.sessionPresent);
    } else {
        MQTTProperties props = MQTTProperties_initializer;
        MQTTProperty expiry = {.identifier = MQTTPROPERTY_CODE_SESSION_EXPIRY_INTERVAL};
        expiry.value.integer4 = 3600;
        connect.cleanstart = !lasts;
        if (lasts) (void)MQTTProperties_add(&props, &expiry);
        MQTTResponse r = MQTTClient_connect5(client, &connect, &props, NULL);
        must(r.reasonCode == MQTTREASONCODE_SUCCESS, "connect", (int)r.reasonCode);
        (void)printf("present -\n");
        MQTTResponse_free(r);
        MQTTProperties_free(&props);
    }
    (void)fflush(stdout);
}

static void subscribe(const char *filter, int qos) {
    if (v5) {
        MQTTResponse r = MQTTClient_subscribe5(client, filter, qos, NULL, NULL);
        must((int)r.reasonCode == qos, "subscribe", (int)r.reasonCode);
        MQTTResponse_free(r);
    } else {
        int rc = MQTTClient_subscribe(client, filter, qos);
        must(rc == MQTTCLIENT_SUCCESS, "subscribe", rc);
    }
}

static void publish(const char *topic, int qos, int retained, const char *payload) {
    MQTTClient_message m = MQTTClient_message_initializer;
    MQTTClient_deliveryToken token = 0;
    m.payload = strdup(payload);
    m.payloadlen = (int)strlen(payload);
    m.qos = qos;
    m.retained = retained;
    if (v5) {
        MQTTResponse r = MQTTClient_publishMessage5(client, topic, &m, &token);
        must(r.reasonCode == MQTTREASONCODE_SUCCESS, "publish", (int)r.reasonCode);
        MQTTResponse_free(r);
    } else {
        int rc = MQTTClient_publishMessage(client, topic, &m, &token);
        must(rc == MQTTCLIENT_SUCCESS, "publish", rc);
    }
    if (qos > 0) {
        int rc = MQTTClient_waitForCompletion(client, token, PATIENCE_MS);
        must(rc == MQTTCLIENT_SUCCESS, "no acknowledgement", rc);
    }
    free(m.payload);
}

static void get(void) {
    char *topic = NULL;
    int len = 0;
    MQTTClient_message *m = NULL;
    int rc = MQTTClient_receive(client, &topic, &len, &m, PATIENCE_MS);
    must((rc == MQTTCLIENT_SUCCESS || rc == MQTTCLIENT_TOPICNAME_TRUNCATED) && m != NULL, "no message", rc);
    (void)printf("%s %d %d %.*s\n", topic, m->qos, m->retained, m->payloadlen, (const char *)m->payload);
    MQTTClient_freeMessage(&m);
    MQTTClient_free(topic);
}

static void bye(void) {
    int rc = v5 ? MQTTClient_disconnect5(client, 10000, MQTTREASONCODE_SUCCESS, NULL)
                : MQTTClient_disconnect(client, 10000);
    must(rc == MQTTCLIENT_SUCCESS, "disconnect", rc);
}

enum { WORDS = 5 };

static void obey(char *word[WORDS]) {
    if (strcmp(word[0], "sub") == 0) {
        subscribe(word[1], number(word[2]));
    } else if (strcmp(word[0], "pub") == 0) {
        publish(word[1], number(word[2]), number(word[3]), word[4]);
    } else if (strcmp(word[0], "get") == 0) {
        get();
    } else {
        must(strcmp(word[0], "bye") == 0, word[0], 0);
        bye();
    }
}

int main(int argc, char **argv) {
    char line[4096];
    must(argc == 6, "usage", argc);
    v5 = number(argv[4]) == 5;
    MQTTClient_init_options init = MQTTClient_init_options_initializer;
    init.do_openssl_init = 1;
    MQTTClient_global_init(&init);
    open_client(argv[1], argv[2], argv[3], argv[5]);
    for (int n = 1; fgets(line, sizeof line, stdin) != NULL; n++) {
        char *word[WORDS] = {"", "", "", "", ""}, *rest = line;
        line[strcspn(line, "\n")] = 0;
        for (int i = 0; i < WORDS && rest != NULL; i++)
            word[i] = strsep(&rest, "\t");
        obey(word);
        (void)printf("done %d\n", n);
        (void)fflush(stdout);
    }
    MQTTClient_destroy(&client);
    return 0;
}
