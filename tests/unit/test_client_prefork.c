/* SPDX-License-Identifier: Apache-2.0
 *
 * A server that opens the handle and forks its workers afterwards, with the real
 * breakerd. */
#define _GNU_SOURCE
#include "client_live.h"
#include "unit.h"
#include <sys/wait.h>
#include <unistd.h>

static struct breaker_permit
ask(struct stage *s, const char *name)
{
    struct breaker_permit permit;

    (void)breaker_acquire_name(s->b, name, &permit);
    return permit;
}

static void
children_of_a_prefork_server_share_it(void **state)
{
    struct stage *s = *state;
    pid_t children[8];

    SKIP_UNDER_SANITIZERS();
    stage_open(s, BREAKER_MODE_AUTO, 0, 5000);
    assert_int_equal(ask(s, "llm").source, BREAKER_BY_DAEMON);
    for (int i = 0; i < 8; i++) {
        children[i] = stage_fork();
        if (children[i] == 0) {
            struct breaker_permit p = ask(s, "slow");

            /* One of them holds the only permit, and dies with it. */
            (void)p;
            for (int k = 0; k < 20; k++) {
                p = ask(s, "llm");
                if (p.source != BREAKER_BY_MEMORY ||
                    breaker_report(&p, BREAKER_SUCCESS, 1) != BREAKER_DONE)
                    _exit(1);
            }
            breaker_close(&s->b);
            _exit(0);
        }
    }
    for (int i = 0; i < 8; i++) {
        int status;

        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
    }
    assert_int_equal(live_number(s, "llm", "\"success\":"), 160);
    for (int i = 0; i < 100 && live_number(s, "slow", "\"in_use\":") != 0; i++)
        sleep_ms(10);
    assert_int_equal(live_number(s, "slow", "\"in_use\":"), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(children_of_a_prefork_server_share_it,
                                        live_up, live_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
