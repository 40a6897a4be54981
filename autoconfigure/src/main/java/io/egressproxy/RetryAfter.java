package io.egressproxy;

import io.netty.handler.codec.DateFormatter;
import java.time.Duration;
import java.time.Instant;
import java.util.Date;
import org.jspecify.annotations.Nullable;

/** What a {@code Retry-After} header says (RFC 9110, section 10.2.3), within reason. */
public final class RetryAfter {
    private static final Duration LEAST = Duration.ofSeconds(1);
    private static final Duration MOST = Duration.ofMinutes(5);

    private RetryAfter() {}

    /**
     * How long to wait.
     *
     * @param header seconds or a date; null if the header is missing
     * @return 1 s to 5 min, or null if the header says nothing
     */
    public static @Nullable Duration parse(@Nullable String header) {
        if (header == null) {
            return null;
        }
        Duration said;
        if (header.matches("[0-9]{1,9}")) {
            said = Duration.ofSeconds(Long.parseLong(header));
        } else {
            Date date = DateFormatter.parseHttpDate(header);
            if (date == null) {
                return null;
            }
            said = Duration.between(Instant.now(), date.toInstant());
        }
        return said.compareTo(LEAST) < 0 ? LEAST : said.compareTo(MOST) > 0 ? MOST : said;
    }
}
