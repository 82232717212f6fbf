-- A name in other capitals or with other spaces is the same name. An index of a name is the index of what was written and,
-- since then, that of the name whatever its capitals and spaces: 32 bytes each.
CREATE FUNCTION same_name(known bytea, given bytea) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN length(known) = 64 AND length(given) = 64 THEN substr(known, 33) = substr(given, 33)
        ELSE substr(known, 1, 32) = substr(given, 1, 32) END
$$;
