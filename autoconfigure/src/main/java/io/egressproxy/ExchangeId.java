package io.egressproxy;

import java.util.Locale;
import java.util.regex.Pattern;

/**
 * The name of an exchange, or of any other destination that has a route of its own.
 *
 * <p>Two names are equal when they are after dropping case and everything but letters and digits, so that {@code
 * BINANCE_FUTURES} from the environment, {@code binance-futures} from YAML and {@code binanceFutures} from code mean the
 * same exchange. {@link #toString()} gives the name as it was written.
 */
public final class ExchangeId {
    private static final Pattern VALID = Pattern.compile("[A-Za-z0-9._:-]{1,64}");
    private static final Pattern IGNORED = Pattern.compile("[^a-z0-9]");

    /** What is configured under {@code proxy.default}; an id that no exchange may have. */
    public static final ExchangeId DEFAULT = new ExchangeId("default");

    /** What a connection belongs to whose host no exchange claims. Cannot be written, so that no exchange has it. */
    public static final ExchangeId UNMATCHED = new ExchangeId("*");

    private final String name;
    private final String folded;

    private ExchangeId(String name) {
        this.name = name;
        this.folded = IGNORED.matcher(name.toLowerCase(Locale.ROOT)).replaceAll("");
    }

    /**
     * An id from its written form.
     *
     * @param name 1 to 64 letters, digits, {@code .}, {@code _}, {@code :} or {@code -}, at least one of them a letter
     *     or digit
     * @return the id
     * @throws IllegalArgumentException if the name has another form
     */
    public static ExchangeId of(String name) {
        ExchangeId id = new ExchangeId(name);
        if (!VALID.matcher(name).matches() || id.folded.isEmpty()) {
            throw new IllegalArgumentException("an exchange id is 1 to 64 letters, digits, '.', '_', ':' or '-',"
                    + " with at least one letter or digit, for example binance-futures");
        }
        return id;
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof ExchangeId id && folded.equals(id.folded);
    }

    @Override
    public int hashCode() {
        return folded.hashCode();
    }

    @Override
    public String toString() {
        return name;
    }
}
