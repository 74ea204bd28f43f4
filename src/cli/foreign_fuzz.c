/* Other brokers' policies: any bytes end in an answer or a refusal with a sentence. */
#include "cli/foreign.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    porch_foreign_answer answer;
    porch_why why = {""};
    if (size < 1 || size > 512) return 0;
    porch_bytes text = {data + 1, size - 1};
    porch_err e = (data[0] & 1) == 0 ? porch_foreign_mosquitto(text, &answer, &why)
                                     : porch_foreign_aws(text, &answer, &why);
    if (e == PORCH_OK ? answer.text[0] == '\0' : why.text[0] == '\0') abort();
    return 0;
}
