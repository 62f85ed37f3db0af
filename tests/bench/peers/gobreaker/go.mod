module breakerd.invalid/bench/gobreaker

go 1.18

require github.com/sony/gobreaker/v2 v2.0.0
