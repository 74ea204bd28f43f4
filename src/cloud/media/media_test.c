#include "cloud/media/media.h"

#include <sys/stat.h>

#include "cloud/media/media_analysis.h"
#include "cloud/media/media_testing.h"

enum { LENGTH = 150000, NOW = 1790000000, DAY_MS = 86400000 };
static uint8_t clip_bytes[LENGTH];
static uint8_t digest[32];

static int setup(void **state) {
    if (media_lab_setup(state) != 0) return -1;
    media_lab_pattern(clip_bytes, LENGTH, 3);
    porch_sha256((porch_bytes){clip_bytes, LENGTH}, digest);
    media_lab_open(*state);
    return 0;
}

static porch_err begin(media_lab *m, const char *event, char clip[PORCH_MEDIA_UID]) {
    porch_media_owner owner = media_lab_device("front");
    bool made;
    return porch_media_upload_begin(m->media, &owner, event, NOW, clip, &made, &m->why);
}

static void send_whole(media_lab *m, const char *event, char clip[PORCH_MEDIA_UID]) {
    porch_media_upload *u = NULL;
    uint64_t at;
    assert_int_equal(begin(m, event, clip), PORCH_OK);
    assert_int_equal(porch_media_upload_open(m->media, "front", clip, 0, &u, &at, &m->why), PORCH_OK);
    assert_int_equal(porch_media_upload_append(u, (porch_bytes){clip_bytes, LENGTH}, &m->why), PORCH_OK);
    assert_int_equal(porch_media_upload_finish(u, digest, NOW, &m->why), PORCH_OK);
    porch_media_upload_close(u);
}

static bool is_there(media_lab *m, const char *clip, const char *ending) {
    char path[200];
    struct stat st;
    (void)snprintf(path, sizeof path, "%s/clips/%s.%s", m->lab.dir, clip, ending);
    return stat(path, &st) == 0;
}

static void the_folder_of_clips_is_the_hubs_alone(void **state) {
    media_lab *m = *state;
    char path[200];
    struct stat st;
    (void)snprintf(path, sizeof path, "%s/clips", m->lab.dir);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    char clip[PORCH_MEDIA_UID];
    send_whole(m, "e1", clip);
    (void)snprintf(path, sizeof path, "%s/clips/%s.clip", m->lab.dir, clip);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
}

static void a_finished_clip_leaves_no_tail_behind(void **state) {
    media_lab *m = *state;
    char clip[PORCH_MEDIA_UID];
    send_whole(m, "e1", clip);
    assert_true(is_there(m, clip, "clip"));
    assert_false(is_there(m, clip, "clip.tail"));
}

static void without_an_analyst_clips_are_kept_all_the_same(void **state) {
    media_lab *m = *state;
    char clip[PORCH_MEDIA_UID];
    porch_media_clip_info info = {0};
    porch_media_analysis_counts counts;
    /* The keeper looks at once, by today's clock; this clip says that it is from 1970. */
    m->lab.settings.media_keep_days = 0;
    m->lab.settings.media_upload_life_s = UINT32_MAX;
    assert_int_equal(porch_media_start(m->media, &m->why), PORCH_OK);
    send_whole(m, "e1", clip);
    assert_int_equal(porch_media_clip_get(m->media, clip, &info, NULL), PORCH_OK);
    assert_int_equal(info.state, PORCH_MEDIA_CLIP_COMPLETE);
    assert_int_equal(info.analysis, PORCH_MEDIA_ANALYSIS_WAITING);
    porch_media_analysis_count(m->media, &counts);
    assert_int_equal(counts.done + counts.failed, 0);
}

static void old_clips_and_forgotten_uploads_are_swept(void **state) {
    media_lab *m = *state;
    char old[PORCH_MEDIA_UID], unfinished[PORCH_MEDIA_UID];
    porch_media_clip_info info = {0};
    m->lab.settings.media_keep_days = 1;
    m->lab.settings.media_household_bytes = LENGTH;
    send_whole(m, "e1", old);
    uint64_t life_ms = (uint64_t)m->lab.settings.media_upload_life_s * 1000;
    assert_int_equal(porch_media_sweep(m->media, NOW + DAY_MS - 1, NULL), PORCH_OK);
    assert_int_equal(porch_media_clip_get(m->media, old, &info, NULL), PORCH_OK);
    assert_int_equal(begin(m, "e2", unfinished), PORCH_ERR_FULL);
    assert_int_equal(porch_media_sweep(m->media, NOW + DAY_MS + 1, NULL), PORCH_OK);
    assert_int_equal(porch_media_clip_get(m->media, old, &info, NULL), PORCH_ERR_NOT_FOUND);
    assert_false(is_there(m, old, "clip"));
    assert_int_equal(begin(m, "e2", unfinished), PORCH_OK); /* there is room again */
    assert_int_equal(porch_media_sweep(m->media, NOW + life_ms + 1, NULL), PORCH_OK);
    assert_int_equal(porch_media_clip_get(m->media, unfinished, &info, NULL), PORCH_ERR_NOT_FOUND);
}

#define MEDIA_TEST(name) cmocka_unit_test_setup_teardown(name, setup, media_lab_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        MEDIA_TEST(the_folder_of_clips_is_the_hubs_alone),
        MEDIA_TEST(a_finished_clip_leaves_no_tail_behind),
        MEDIA_TEST(without_an_analyst_clips_are_kept_all_the_same),
        MEDIA_TEST(old_clips_and_forgotten_uploads_are_swept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
