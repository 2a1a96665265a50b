//! The precision and scale of a query's numerics.
//!
//! The protocol says them with each column, but the driver does not hand them on, and no function of SQL tells them of an
//! expression. `query_to_xmlschema` does: it plans a query without running it, and describes its columns as XML with the
//! types `NUMERIC_12_2` or, where there is no scale, `NUMERIC`.

use sqlx::postgres::PgConnection;

/// Precision and scale of each column of a query, where it has any; `None` if they cannot be had: from a server that does not
/// know the function, or of a query that the function does not take.
pub(super) async fn scales(connection: &mut PgConnection, sql: &str) -> Option<Vec<Option<(u16, i16)>>> {
    let schema = "SELECT query_to_xmlschema($1, true, false, '')::text";
    let xml: String = sqlx::query_scalar(schema).bind(sql).fetch_one(connection).await.ok()?;
    Some(read(&xml))
}

/// The columns are the elements of the row's type, each on a line of its own. A domain is a type that restricts another.
fn read(xml: &str) -> Vec<Option<(u16, i16)>> {
    let row = xml.split_once("<xsd:complexType name=\"RowType").map_or("", |(_, after)| after);
    let row = row.split_once("</xsd:complexType>").map_or(row, |(row, _)| row);
    let columns = row.lines().filter(|line| line.trim_start().starts_with("<xsd:element name=\""));
    columns.map(|line| attribute(line, "type").and_then(|name| parts(name, xml))).collect()
}

/// The value of an attribute; it holds no quote.
fn attribute<'x>(line: &'x str, name: &str) -> Option<&'x str> {
    let (_, rest) = line.split_once(&format!(" {name}=\""))?;
    Some(rest.split_once('"')?.0)
}

fn parts(name: &str, xml: &str) -> Option<(u16, i16)> {
    let numeric = match name.strip_prefix("Domain.") {
        None => name,
        Some(_) => {
            let (_, domain) = xml.split_once(&format!("<xsd:simpleType name=\"{name}\">"))?;
            attribute(domain.split_once("/>")?.0, "base")?
        }
    };
    let (precision, scale) = numeric.strip_prefix("NUMERIC_")?.split_once('_')?;
    Some((precision.parse().ok()?, scale.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_are_read_from_the_schema() {
        let xml = r#"<xsd:schema xmlns:xsd="http://www.w3.org/2001/XMLSchema">
<xsd:simpleType name="NUMERIC_12_2">
  <xsd:restriction base="xsd:decimal"/>
</xsd:simpleType>
<xsd:simpleType name="Domain.crm.public.price">
  <xsd:restriction base="NUMERIC_8_3"/>
</xsd:simpleType>
<xsd:complexType name="RowType">
  <xsd:sequence>
    <xsd:element name="price" type="Domain.crm.public.price" nillable="true"></xsd:element>
    <xsd:element name="id" type="INTEGER" nillable="true"></xsd:element>
    <xsd:element name="mrr" type="NUMERIC_12_2" nillable="true"></xsd:element>
    <xsd:element name="sum" type="NUMERIC" nillable="true"></xsd:element>
    <xsd:element name="a_x0020_type_x003D__x0022_NUMERIC_1_1_x0022_" type="NUMERIC_5_65535" nillable="true"></xsd:element>
  </xsd:sequence>
</xsd:complexType>
<xsd:complexType name="TableType">
    <xsd:element name="row" type="RowType" minOccurs="0" maxOccurs="unbounded"/>
</xsd:complexType>"#;
        assert_eq!(read(xml), [Some((8, 3)), None, Some((12, 2)), None, None]);
        assert!(read("").is_empty());
    }
}
