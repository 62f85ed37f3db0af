/* SPDX-License-Identifier: Apache-2.0
 *
 * The example at the head of breaker.h, with a call that succeeds. */
#include <breaker/breaker.h>
#include <stdio.h>

int
main(void)
{
    struct breaker *b = breaker_open(NULL);
    struct breaker_service *llm = breaker_service(b, "gpt-4");
    struct breaker_permit permit;

    if (breaker_acquire(llm, &permit) == BREAKER_ALLOWED)
        (void)breaker_report(&permit, BREAKER_SUCCESS, 183000);
    else
        printf("denied, again in %d ms\n", (int)permit.retry_after_ms);
    breaker_close(&b);
    return 0;
}
