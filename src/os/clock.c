#include "os/clock.h"

#include <string.h>

static uint64_t read_clock(clockid_t which, uint64_t per_second) {
    struct timespec t;
    (void)clock_gettime(which, &t); /* cannot fail for these clocks */
    return (uint64_t)t.tv_sec * per_second + (uint64_t)t.tv_nsec / (1000000000u / per_second);
}

uint64_t porch_clock_ms(void) {
    return read_clock(CLOCK_REALTIME, 1000);
}

uint64_t porch_clock_mono_ms(void) {
    return read_clock(CLOCK_MONOTONIC, 1000);
}

uint64_t porch_clock_boot_ms(void) {
    return read_clock(CLOCK_BOOTTIME, 1000);
}

uint64_t porch_clock_mono_us(void) {
    return read_clock(CLOCK_MONOTONIC, 1000000);
}

struct timespec porch_clock_mono_after(uint64_t ns) {
    const uint64_t second = 1000000000;
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    const uint64_t part = (uint64_t)t.tv_nsec + ns % second;
    t.tv_sec += (time_t)(ns / second + part / second);
    t.tv_nsec = (long)(part % second);
    return t;
}

static void put_digits(char *at, uint64_t value, size_t digits) {
    for (size_t i = digits; i > 0; i--) {
        at[i - 1] = (char)('0' + value % 10);
        value /= 10;
    }
}

/* Days since 1970-01-01 into a date of the Gregorian calendar. Years are counted from March, so that the
 * leap day is a year's last and every month's length follows from its place: days before month m of such a
 * year are (153 m + 2) / 5. 400 years have 146,097 days. */
static void date_of_day(uint64_t day, uint64_t *year, uint64_t *month, uint64_t *day_of_month) {
    uint64_t z = day + 719468; /* since 0000-03-01 */
    uint64_t era = z / 146097;
    uint64_t of_era = z % 146097;
    uint64_t year_of_era = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    uint64_t of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    uint64_t m = (5 * of_year + 2) / 153;
    *day_of_month = of_year - (153 * m + 2) / 5 + 1;
    *month = m < 10 ? m + 3 : m - 9;
    *year = era * 400 + year_of_era + (*month <= 2 ? 1 : 0);
}

void porch_clock_rfc3339(uint64_t ms, char out[PORCH_CLOCK_TEXT_BYTES]) {
    const uint64_t last = 253402300799999u; /* 9999-12-31T23:59:59.999Z */
    if (ms > last) ms = last;
    uint64_t seconds = ms / 1000, of_day = seconds % 86400;
    uint64_t year, month, day;
    date_of_day(seconds / 86400, &year, &month, &day);
    memcpy(out, "0000-00-00T00:00:00.000Z", PORCH_CLOCK_TEXT_BYTES);
    put_digits(out, year, 4);
    put_digits(out + 5, month, 2);
    put_digits(out + 8, day, 2);
    put_digits(out + 11, of_day / 3600, 2);
    put_digits(out + 14, of_day / 60 % 60, 2);
    put_digits(out + 17, of_day % 60, 2);
    put_digits(out + 20, ms % 1000, 3);
}
