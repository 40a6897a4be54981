package io.egressproxy.settings;

import io.egressproxy.settings.SettingsSchema.FreeNode;
import io.egressproxy.settings.SettingsSchema.KnownKey;
import io.egressproxy.settings.SettingsSchema.ListNode;
import io.egressproxy.settings.SettingsSchema.MapNode;
import io.egressproxy.settings.SettingsSchema.ObjectNode;
import java.util.List;
import java.util.Locale;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * Finds the setting that the name of an environment variable means.
 *
 * <p>Such a name has lost its dots and dashes: {@code TIMEOUT_SECONDS} may be one key or two, {@code BINANCE_FUTURES} one
 * exchange or none. Spring Boot guesses and drops what does not fit, silently; here the known keys decide. {@code __}
 * always parts two keys, {@code _} may.
 */
final class EnvironmentVariableNames {
    private final ObjectNode schema = SettingsSchema.ROOT;

    /**
     * The setting that a name means.
     *
     * @param name the name without its prefix, for example {@code EXCHANGES__BINANCE_FUTURES__HTTP__URL}
     * @return the elements of the setting's name below {@code proxy}, or null if it means none
     */
    @Nullable
    List<String> resolve(String name) {
        List<List<String>> parts = Stream.of(name.toLowerCase(Locale.ROOT).split("__+", -1))
                .map(part -> List.of(part.split("_", -1)))
                .toList();
        boolean delimited = parts.size() > 1;
        if (parts.stream().flatMap(List::stream).anyMatch(String::isEmpty)) {
            return null;
        }
        return resolve(schema, parts, delimited);
    }

    /**
     * Whether somebody seems to have meant a setting by a name that means none: it begins like one, or is nearly one.
     *
     * @param name the name without its prefix
     */
    boolean looksLikeASetting(String name) {
        String uniform = SettingsSchema.uniform(name);
        return schema.keys().keySet().stream()
                .anyMatch(key -> uniform.startsWith(key) || Spelling.distance(uniform, key) <= 2);
    }

    private static @Nullable List<String> resolve(SettingsSchema node, List<List<String>> parts, boolean delimited) {
        if (parts.isEmpty()) {
            return List.of();
        }
        List<String> first = parts.get(0);
        if (node instanceof FreeNode) {
            return prepend(String.join("_", first), resolve(node, parts.subList(1, parts.size()), delimited));
        }
        // an exchange id reaches to the next "__" where the writer uses them, and is else as short as can be
        int shortest = node instanceof MapNode && delimited ? first.size() : 1;
        return IntStream.rangeClosed(shortest, first.size())
                .mapToObj(length ->
                        element(node, String.join("_", first.subList(0, length)), rest(parts, length), delimited))
                .filter(path -> path != null)
                .findFirst()
                .orElse(null);
    }

    private static @Nullable List<String> element(
            SettingsSchema node, String element, List<List<String>> rest, boolean delimited) {
        if (node instanceof ObjectNode object) {
            KnownKey key = object.key(element);
            return key == null ? null : prepend(key.name(), resolve(key.node(), rest, delimited));
        }
        if (node instanceof MapNode map) {
            return prepend(element, resolve(map.value(), rest, delimited));
        }
        if (node instanceof ListNode list) {
            if (element.chars().allMatch(Character::isDigit)) {
                return prepend(element, resolve(list.element(), rest, delimited));
            }
            if (list.isPool() && element.equals("proxies")) {
                return prepend(element, resolve(list, rest, delimited));
            }
            return list.isPool() && element.equals("strategy") && rest.isEmpty() ? List.of(element) : null;
        }
        return null;
    }

    private static List<List<String>> rest(List<List<String>> parts, int length) {
        List<String> first = parts.get(0);
        Stream<List<String>> left =
                length == first.size() ? Stream.empty() : Stream.of(first.subList(length, first.size()));
        return Stream.concat(left, parts.stream().skip(1)).toList();
    }

    private static @Nullable List<String> prepend(String element, @Nullable List<String> rest) {
        return rest == null
                ? null
                : Stream.concat(Stream.of(element), rest.stream()).toList();
    }
}
