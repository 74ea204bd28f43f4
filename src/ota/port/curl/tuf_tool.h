/* porchlight-tuf: the client core of updates on a command line, as the conformance suite of The Update
 * Framework drives it.
 *
 *   --metadata-dir D init ROOT                                              trust this root
 *   --metadata-dir D --metadata-url U refresh                               bring metadata up to date
 *   --metadata-dir D --metadata-url U --target-name T --target-dir TD --target-base-url TU download
 *
 * It is for people and tests at a desk: plain HTTP is allowed here, and nothing is installed. */
#ifndef PORCH_OTA_PORT_CURL_TUF_TOOL_H
#define PORCH_OTA_PORT_CURL_TUF_TOOL_H

/* 0 when all went well; else 1, and one sentence on standard error. */
int porch_tuf_tool_main(int argc, char **argv);

#endif
