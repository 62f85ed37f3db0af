// SPDX-License-Identifier: Apache-2.0

// A breaker inside one process, in Go: gobreaker around a call that does nothing. Plays blocks as tools/bench/bench_player.h says.
package main

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/sony/gobreaker/v2"
)

// As long as others are silent between bursts.
const (
	burst = 200
	pause = 100 * time.Microsecond
)

var boot = time.Now()

// Nanoseconds of the monotonic clock; where it began is of no interest here.
func now() int64 { return int64(time.Since(boot)) }

func nothing() (bool, error) { return true, nil }

func execute(breaker *gobreaker.CircuitBreaker[bool], count int) (int, int64) {
	done, spent := 0, int64(0)
	for done < count {
		began := now()
		for i := 0; i < burst; i++ {
			if done, err := breaker.Execute(nothing); err != nil || !done {
				return 0, 0
			}
		}
		spent += now() - began
		done += burst
		time.Sleep(pause)
	}
	return done, spent
}

func main() {
	runtime.GOMAXPROCS(1)
	breaker := gobreaker.NewCircuitBreaker[bool](gobreaker.Settings{Name: "bench"})
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		count := 0
		if len(words) > 1 {
			count, _ = strconv.Atoi(words[1])
		}
		if len(words) < 2 || words[0] != "execute" {
			fmt.Println("no there is no such block")
			continue
		}
		began := now()
		done, spent := execute(breaker, count)
		ended := now()
		if done == 0 {
			fmt.Println("no a call was denied")
			continue
		}
		fmt.Printf("ok %d %d %d %d %d\n", done, began, ended, spent, spent)
	}
}
