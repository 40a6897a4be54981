package io.egressproxy.sample.feed;

import com.fasterxml.jackson.annotation.JsonValue;
import java.time.Instant;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/**
 * A feed at one moment.
 *
 * @param exchange the exchange's name
 * @param connectionType how it arrives
 * @param host the target's
 * @param port the target's
 * @param symbol of the last tick, if it named one
 * @param price of the last tick, if it named one
 * @param seenFrom who the target saw at the last tick, if it said so
 * @param raw the beginning of the last answer, if there was no price in it
 * @param ticks how many there were
 * @param lastTickAt when the last one came
 * @param state how it is going
 * @param since since when it has been going so
 * @param lastError what went wrong last, also if it is healed
 */
record FeedView(
        String exchange,
        ConnectionType connectionType,
        String host,
        int port,
        @Nullable String symbol,
        @Nullable String price,
        @Nullable String seenFrom,
        @Nullable String raw,
        long ticks,
        @Nullable Instant lastTickAt,
        State state,
        Instant since,
        @Nullable String lastError) {

    /** How a feed is going. */
    enum State {
        STARTING,
        OK,
        FAILING;

        @JsonValue
        String id() {
            return name().toLowerCase(Locale.ROOT);
        }
    }
}
