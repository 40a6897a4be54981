package io.egressproxy.sample.exchange;

import java.math.BigDecimal;
import java.util.concurrent.ThreadLocalRandom;

/** Prices that wander a little with every look. Thread-safe. */
final class Market {

    private static final long START_CENTS = 64_000_00;
    private static final long STEP_CENTS = 25_00;

    private long cents = START_CENTS;

    synchronized String price() {
        cents = Math.max(STEP_CENTS, cents + ThreadLocalRandom.current().nextLong(-STEP_CENTS, STEP_CENTS + 1));
        return BigDecimal.valueOf(cents, 2).toPlainString();
    }
}
