package io.egressproxy.settings;

import io.netty.util.NetUtil;
import java.net.IDN;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * Hosts, in one of four forms: {@code host} (that one), {@code .suffix} (every name below it), {@code *.glob} ({@code *}
 * stands for any characters, dots included) or {@code 10.0.0.0/8} (addresses; matches literal addresses only, since no
 * name is ever resolved for it).
 *
 * <p>Case does not matter, nor does a dot at the end of a name, nor the spelling of an IPv6 address.
 */
public final class HostPattern {
    private static final Pattern GLOB = Pattern.compile("[a-z0-9._*-]+");
    private static final Pattern NAME = Pattern.compile("[a-z0-9._-]+");

    /** This machine itself. Not parsed: Netty, which does that, looks at all network interfaces first, for milliseconds of each start. */
    static final List<HostPattern> LOOPBACK = List.of(
            new HostPattern("localhost", null, null, null, 0),
            new HostPattern("127.0.0.0/8", null, null, new byte[] {127, 0, 0, 0}, 8),
            new HostPattern("::1", null, null, new byte[] {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}, 128));

    /** Its message shows nothing of the text. */
    static final class InvalidException extends IllegalArgumentException {
        InvalidException(String problem) {
            super(problem);
        }
    }

    private final String text;
    private final @Nullable Pattern glob;
    private final @Nullable String suffix;
    private final @Nullable String ending; // of all hosts that the pattern covers, if it asks for nothing else
    private final byte @Nullable [] network;
    private final int prefixLength;

    private HostPattern(
            String text, @Nullable Pattern glob, @Nullable String suffix, byte @Nullable [] network, int prefixLength) {
        this.text = text;
        this.glob = glob;
        this.suffix = suffix;
        this.ending = suffix != null ? suffix : glob != null && text.lastIndexOf('*') == 0 ? text.substring(1) : null;
        this.network = network;
        this.prefixLength = prefixLength;
    }

    /**
     * A pattern from its written form.
     *
     * @param written the pattern
     * @return the pattern
     * @throws IllegalArgumentException if it has none of the four forms
     */
    public static HostPattern of(String written) {
        String text = normalize(written.strip());
        int slash = text.indexOf('/');
        byte[] address = address(slash < 0 ? text : text.substring(0, slash));
        if (slash >= 0 || address != null) {
            return network(text, address, slash);
        }
        if (text.startsWith(".") && NAME.matcher(text).matches() && text.length() > 1) {
            return new HostPattern(text, null, text, null, 0);
        }
        if (text.indexOf('*') >= 0 && GLOB.matcher(text).matches()) {
            String regex = Arrays.stream(text.split("\\*", -1))
                    .map(Pattern::quote)
                    .reduce((left, right) -> left + ".*" + right)
                    .orElseThrow();
            return new HostPattern(text, Pattern.compile(regex), null, null, 0);
        }
        if (!NAME.matcher(text).matches()) {
            throw new InvalidException("is no host; write a host (api.example.org), a .suffix, a *.glob,"
                    + " an address or a network (10.0.0.0/8), without scheme, port or path");
        }
        return new HostPattern(text, null, null, null, 0);
    }

    private static HostPattern network(String text, byte @Nullable [] address, int slash) {
        if (address == null) {
            throw new InvalidException("has a '/' but no address before it; write a network as 10.0.0.0/8");
        }
        String length = slash < 0 ? String.valueOf(address.length * 8) : text.substring(slash + 1);
        if (!length.matches("[0-9]{1,3}") || Integer.parseInt(length) > address.length * 8) {
            throw new InvalidException("has no valid prefix length after '/'; write 0 to " + address.length * 8);
        }
        return new HostPattern(text, null, null, address, Integer.parseInt(length));
    }

    /**
     * Whether the pattern covers a host.
     *
     * @param host a name or an address as a client gives it
     * @return true if it does
     */
    public boolean matches(String host) {
        return matches(new Host(host));
    }

    /**
     * Whether the pattern covers a host.
     *
     * @param host a host that several patterns are asked about
     * @return true if it does
     */
    public boolean matches(Host host) {
        if (network != null) {
            return host.address != null && within(host.address, network, prefixLength);
        }
        String name = host.name;
        if (suffix != null) {
            return name.length() > suffix.length() && name.endsWith(suffix);
        }
        if (glob == null) {
            return name.equals(text);
        }
        return ending != null ? name.endsWith(ending) : glob.matcher(name).matches();
    }

    /** A host in the form in which patterns are compared with it, worked out once for all of them. */
    public static final class Host {
        private final String name;
        private final byte @Nullable [] address;

        /**
         * A host.
         *
         * @param given a name or an address as a client gives it
         */
        public Host(String given) {
            this.name = normalize(given);
            this.address = HostPattern.address(name);
        }

        /**
         * Its name.
         *
         * @return without what makes no difference
         */
        public String name() {
            return name;
        }
    }

    /**
     * The one name that the pattern covers.
     *
     * @return the name as {@link Host#name()} has it, or null if the pattern covers several, or an address
     */
    public @Nullable String onlyName() {
        return glob == null && suffix == null && network == null ? text : null;
    }

    /**
     * Whether every host that another pattern covers is covered by this one as well.
     *
     * @param other the other pattern
     * @return false also if that cannot be told, as of two globs with stars in their middle
     */
    public boolean includes(HostPattern other) {
        if (equals(other)) {
            return true;
        }
        if (network != null) {
            return other.network != null
                    && prefixLength <= other.prefixLength
                    && within(other.network, network, prefixLength);
        }
        if (other.isExact()) {
            return matches(other.text);
        }
        return ending != null
                && other.network == null
                && other.text.substring(other.text.lastIndexOf('*') + 1).endsWith(ending);
    }

    /**
     * Whether the pattern covers one host only, so that it outranks every wider pattern.
     *
     * @return true for a plain host or address
     */
    public boolean isExact() {
        return glob == null && suffix == null && (network == null || prefixLength == network.length * 8);
    }

    /**
     * How much the pattern says: of two that cover a host, the longer one is the closer.
     *
     * @return the number of its characters that are no wildcard
     */
    public int specificity() {
        return network != null
                ? prefixLength
                : (int) text.chars().filter(c -> c != '*').count();
    }

    private static boolean within(byte[] address, byte[] network, int prefixLength) {
        if (address.length != network.length) {
            return false;
        }
        int whole = prefixLength / 8;
        int mask = 0xff << (8 - prefixLength % 8);
        return Arrays.equals(address, 0, whole, network, 0, whole)
                && (prefixLength % 8 == 0 || (address[whole] & mask & 0xff) == (network[whole] & mask & 0xff));
    }

    private static byte @Nullable [] address(String text) {
        byte[] address = NetUtil.createByteArrayFromIpAddressString(text);
        // ::ffff:10.0.0.1 is 10.0.0.1 to every socket, and so it is here
        boolean mapped = address != null
                && address.length == 16
                && within(address, new byte[] {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, -1, -1, 0, 0, 0, 0}, 96);
        return mapped ? Arrays.copyOfRange(address, 12, 16) : address;
    }

    private static String normalize(String host) {
        String name = host.toLowerCase(Locale.ROOT);
        if (name.startsWith("[") && name.endsWith("]")) {
            name = name.substring(1, name.length() - 1);
        }
        if (!isAscii(name)) {
            try { // before the dot at the end is looked at: other scripts have dots of their own
                name = IDN.toASCII(name, IDN.ALLOW_UNASSIGNED).toLowerCase(Locale.ROOT);
            } catch (IllegalArgumentException notInternational) {
                return name;
            }
        }
        return name.endsWith(".") ? name.substring(0, name.length() - 1) : name;
    }

    private static boolean isAscii(String name) {
        for (int i = 0; i < name.length(); i++) {
            if (name.charAt(i) >= 0x80) {
                return false;
            }
        }
        return true;
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof HostPattern pattern && text.equals(pattern.text);
    }

    @Override
    public int hashCode() {
        return text.hashCode();
    }

    @Override
    public String toString() {
        return text;
    }
}
