package io.egressproxy.sample.feed;

import org.jspecify.annotations.Nullable;

/**
 * What one answer said.
 *
 * @param symbol the symbol, if it named one
 * @param price the price, if it named one
 * @param seenFrom who the target saw, if it said so; real exchanges do not
 * @param raw the beginning of the answer, if there was no price in it
 */
record Tick(@Nullable String symbol, @Nullable String price, @Nullable String seenFrom, @Nullable String raw) {

    /** One short text for the log. */
    String text() {
        return price == null ? String.valueOf(raw) : symbol == null ? price : symbol + " " + price;
    }
}
