#include "cloud/api/api_profile.h"

#include <stdio.h>

#include "base/cursor.h"
#include "base/text.h"

static porch_err text(porch_buf *out, const char *s) {
    for (; *s; s++) {
        const char *escaped = *s == '&' ? "&amp;" : *s == '<' ? "&lt;" : *s == '>' ? "&gt;" : NULL;
        if (escaped)
            PORCH_TRY(porch_write_text(out, escaped));
        else
            PORCH_TRY(porch_write_u8(out, (uint8_t)*s));
    }
    return PORCH_OK;
}

/* <key>K</key><string>before + value + after</string> */
static porch_err entry(porch_buf *out, const char *key, const char *before, const char *value,
                       const char *after) {
    PORCH_TRY(porch_write_text(out, "<key>"));
    PORCH_TRY(text(out, key));
    PORCH_TRY(porch_write_text(out, "</key><string>"));
    PORCH_TRY(text(out, before));
    PORCH_TRY(text(out, value));
    PORCH_TRY(text(out, after));
    return porch_write_text(out, "</string>\n");
}

/* A UUID of version 8 (RFC 9562, 5.8) from half of the fingerprint. */
static void uuid(const uint8_t half[16], char out[37]) {
    (void)snprintf(out, 37, "%02X%02X%02X%02X-%02X%02X-8%01X%02X-%01X%01X%02X-%02X%02X%02X%02X%02X%02X",
                   half[0], half[1], half[2], half[3], half[4], half[5], half[6] & 15, half[7],
                   8 | (half[8] >> 4 & 3), half[8] & 15, half[9], half[10], half[11], half[12], half[13],
                   half[14], half[15]);
}

static porch_err common(porch_buf *out, const char *type, const char *hub, const char *part,
                        const uint8_t half[16]) {
    char id[37];
    uuid(half, id);
    PORCH_TRY(entry(out, "PayloadType", "", type, ""));
    PORCH_TRY(entry(out, "PayloadIdentifier", "porchlight.", hub, part));
    PORCH_TRY(entry(out, "PayloadUUID", "", id, ""));
    return porch_write_text(out, "<key>PayloadVersion</key><integer>1</integer>\n");
}

porch_err porch_profile_write(porch_buf *out, const char *hub, const char *name, porch_bytes der,
                              const uint8_t fingerprint[32]) {
    PORCH_TRY(porch_write_text(
        out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
             "<!DOCTYPE plist PUBLIC \"-//Apple//DTD PLIST 1.0//EN\" "
             "\"http://www.apple.com/DTDs/PropertyList-1.0.dtd\">\n<plist version=\"1.0\">\n<dict>\n"));
    PORCH_TRY(common(out, "Configuration", hub, ".web-ca", fingerprint));
    PORCH_TRY(entry(out, "PayloadDisplayName", "Porchlight at ", name, ""));
    PORCH_TRY(entry(out, "PayloadDescription", "Lets this device trust the pages of the Porchlight hub ",
                    name, ". The certificate authority in it can vouch for the hub's own names only."));
    PORCH_TRY(porch_write_text(out, "<key>PayloadContent</key>\n<array>\n<dict>\n"));
    PORCH_TRY(common(out, "com.apple.security.root", hub, ".web-ca.certificate", fingerprint + 16));
    PORCH_TRY(entry(out, "PayloadDisplayName", "Porchlight web CA of ", name, ""));
    PORCH_TRY(entry(out, "PayloadCertificateFileName", "porchlight-web-ca", ".cer", ""));
    PORCH_TRY(porch_write_text(out, "<key>PayloadContent</key>\n<data>\n"));
    PORCH_TRY(porch_base64_write(out, der, false));
    return porch_write_text(out, "\n</data>\n</dict>\n</array>\n</dict>\n</plist>\n");
}
